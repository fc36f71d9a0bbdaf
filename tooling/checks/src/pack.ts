import { existsSync, mkdtempSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanEnvironment, runProgram } from './process.ts'
import { listPublicPackages, root, type WorkspacePackage } from './workspace.ts'

/** A published package and the archive that would be uploaded. */
export interface PackedPackage extends WorkspacePackage {
  /** Absolute path of the `.tgz` file. */
  readonly archive: string
}

/** Absolute path of the script behind the binary of an installed package. */
export function resolveBinary(dependency: string, from: string, name: string): string {
  const require = createRequire(join(root, from, 'package.json'))
  for (const folder of require.resolve.paths(dependency) ?? []) {
    const file = join(folder, dependency, 'package.json')
    if (!existsSync(file)) continue
    const { bin } = require(file) as { bin: string | Record<string, string> }
    const target = typeof bin === 'string' ? bin : bin[name]
    if (target) return join(folder, dependency, target)
  }
  throw new Error(`${dependency} has no binary named ${name}, or is not installed: run pnpm install`)
}

let packed: PackedPackage[] | undefined

/** Packs every public package as it would be published, once per process. The packages must be built. */
export function packPublicPackages(): readonly PackedPackage[] {
  if (packed) return packed
  const destination = mkdtempSync(join(tmpdir(), 'tessera-pack-'))
  const pnpm = resolveBinary('pnpm', '.', 'pnpm')
  packed = listPublicPackages().map((target) => {
    const { folder, manifest } = target
    for (const entry of Object.values(manifest.publishConfig?.exports ?? {})) {
      for (const file of [entry.types, entry.import]) {
        if (!existsSync(join(root, folder, file))) {
          throw new Error(`${folder} is not built: ${file} is missing. Run: npm run build`)
        }
      }
    }
    const args = [pnpm, 'pack', '--json', '--pack-destination', destination]
    const outcome = runProgram(process.execPath, args, { cwd: join(root, folder), environment: cleanEnvironment() })
    if (!outcome.ok) throw new Error(`pnpm pack failed in ${folder}: ${outcome.output}`)
    const { filename } = JSON.parse(outcome.stdout) as { filename: string }
    return { ...target, archive: filename }
  })
  return packed
}
