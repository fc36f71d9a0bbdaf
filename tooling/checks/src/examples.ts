import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { packPublicPackages } from './pack.ts'
import { cleanEnvironment, runProgram } from './process.ts'
import type { Findings } from './report.ts'
import { root } from './workspace.ts'

/** Packages as strangers would write them: outside of the workspace, on the packed packages. */
const examples = join(root, 'examples')

/**
 * Copies each example out of the repository, installs the packed packages that it names into it, and runs its type check
 * and its tests.
 */
export function checkExamples(): Findings {
  const errors: string[] = []
  const names = readdirSync(examples).filter((name) => existsSync(join(examples, name, 'package.json')))
  // Examples are run from source, which needs a Node that strips types.
  const environment = {
    ...cleanEnvironment(),
    PATH: [dirname(process.execPath), process.env.PATH].join(delimiter),
  }
  for (const name of names) {
    const folder = mkdtempSync(join(tmpdir(), `tessera-${name}-`))
    try {
      cpSync(join(examples, name), folder, {
        recursive: true,
        filter: (path) => !path.slice(examples.length).includes('node_modules'),
      })
      const { peerDependencies = {} } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
        peerDependencies?: Record<string, string>
      }
      const archives = packPublicPackages()
        .filter(({ manifest }) => manifest.name in peerDependencies)
        .map(({ archive }) => archive)
      const steps = [
        ['install', '--no-audit', '--no-fund', '--no-save', '--prefer-offline', ...archives],
        ['run', 'typecheck'],
        ['test'],
      ]
      for (const step of steps) {
        const outcome = runProgram('npm', step, { cwd: folder, environment })
        if (outcome.ok) continue
        errors.push(`examples/${name}: npm ${step[0]} ${step[1] ?? ''} failed:\n${outcome.output.slice(-4000)}`)
        break
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }
  return { errors, summary: `${names.join(', ')} on the packed packages` }
}
