import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packPublicPackages, resolveBinary } from './pack.ts'
import { cleanEnvironment, runProgram } from './process.ts'
import type { Findings } from './report.ts'
import { listPublicPackages, type Manifest, root } from './workspace.ts'

/** Licences that code under the MIT licence may depend on without further duties than a notice. */
const acceptedLicences = new Set([
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'CC0-1.0',
  'Unlicense',
])

/** Scripts that npm would run on the machine of whoever installs the package. */
const installScripts = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish']

function readPackedManifest(archive: string): Manifest {
  const outcome = runProgram('tar', ['-xOf', archive, 'package/package.json'], { cwd: root })
  if (!outcome.ok) throw new Error(`cannot read package.json from ${archive}: ${outcome.output}`)
  return JSON.parse(outcome.stdout) as Manifest
}

/** Calls that make code of a string, which content security policies forbid; methods named `eval` are not among them. */
const evaluation = /(?<![.\w#])eval\(|\bnew Function\b|(?<![.\w])Function\(/

function judgeScripts(folder: string, archive: string): string[] {
  const outcome = runProgram('tar', ['-xOf', archive, '--wildcards', 'package/dist/*.js'], { cwd: root })
  if (!outcome.ok) throw new Error(`cannot read the scripts of ${archive}: ${outcome.output}`)
  const lines = outcome.stdout.split('\n').filter((line) => evaluation.test(line) && !/^\s*eval\(\) \{$/.test(line))
  return lines.map((line) => `${folder}: makes code of a string: ${line.trim().slice(0, 120)}`)
}

function judgeManifest(folder: string, manifest: Manifest): string[] {
  const errors: string[] = []
  for (const script of installScripts) {
    if (manifest.scripts?.[script]) errors.push(`${folder}: a published package must not have a ${script} script`)
  }
  if (manifest.license !== 'MIT') errors.push(`${folder}: license is ${manifest.license}, expected MIT`)
  const ranges = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies }
  for (const [name, range] of Object.entries(ranges)) {
    if (/^(workspace|file|link):/.test(range)) errors.push(`${folder}: the packed package asks for ${name} ${range}`)
  }
  return errors
}

/** Packs every public package and checks the result with publint, "are the types wrong" and rules of our own. */
export function checkPublished(): Findings {
  const publint = resolveBinary('publint', 'tooling/checks', 'publint')
  const attw = resolveBinary('@arethetypeswrong/cli', 'tooling/checks', 'attw')
  const errors: string[] = []
  const packed = packPublicPackages()
  for (const { folder, archive } of packed) {
    errors.push(...judgeManifest(folder, readPackedManifest(archive)), ...judgeScripts(folder, archive))
    const runs = {
      publint: [publint, archive, '--strict'],
      attw: [attw, archive, '--profile', 'esm-only', '--no-color'],
    }
    for (const [name, args] of Object.entries(runs)) {
      const outcome = runProgram(process.execPath, args, { cwd: root })
      if (!outcome.ok) errors.push(`${folder}: ${name} found a problem:\n${outcome.output}`)
    }
  }
  return { errors, summary: `${packed.length} packages` }
}

/** Several licences, joined by AND, must all be accepted. */
function isAccepted(licence: string): boolean {
  return licence
    .replaceAll(/[()]/g, '')
    .split(' AND ')
    .every((name) => acceptedLicences.has(name))
}

/** Checks the licence of everything that comes along when a published package is installed. */
export function checkLicences(): Findings {
  const errors: string[] = []
  const seen = new Set<string>()
  const pnpm = resolveBinary('pnpm', '.', 'pnpm')
  for (const { folder, manifest } of listPublicPackages()) {
    const args = [pnpm, 'licenses', 'list', '--prod', '--json', '--filter', manifest.name]
    const outcome = runProgram(process.execPath, args, { cwd: root, environment: cleanEnvironment() })
    if (!outcome.ok) throw new Error(`pnpm licenses failed for ${folder}: ${outcome.output}`)
    // With nothing to list, pnpm prints a sentence instead of JSON.
    if (!outcome.stdout.trimStart().startsWith('{')) continue
    const groups = JSON.parse(outcome.stdout) as Record<string, { name: string }[]>
    for (const [licence, dependencies] of Object.entries(groups)) {
      for (const { name } of dependencies) {
        seen.add(name)
        if (!isAccepted(licence)) errors.push(`${folder}: depends on ${name}, whose licence is ${licence}`)
      }
    }
  }
  const text = readFileSync(join(root, 'LICENSE'), 'utf8')
  if (!text.startsWith('MIT License')) errors.push('LICENSE: expected the MIT licence')
  return { errors, summary: `${seen.size} dependencies of published packages` }
}
