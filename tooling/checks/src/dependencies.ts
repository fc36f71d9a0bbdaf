import { readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join, posix } from 'node:path'
import { nodeOnlySubpaths, packageRules } from './dependency-rules.ts'
import { findFolderCycles } from './folder-cycles.ts'
import { type Import, readImports } from './imports.ts'
import type { Findings } from './report.ts'
import { isTest, listPackages, listSources, readManifest, root, type WorkspacePackage } from './workspace.ts'

const scope = '@tessera/'

/** The package that a bare specifier names: `@scope/name/sub` → `@scope/name`. */
function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** The files that the entries of a published package load at run time, except those of its Node-only subpaths. */
function listBrowserFiles({ folder, manifest }: WorkspacePackage, imports: ReadonlyMap<string, Import[]>): Set<string> {
  const reached = new Set<string>()
  if (manifest.private) return reached
  const queue = Object.entries(manifest.exports ?? {})
    .filter(([subpath]) => !nodeOnlySubpaths.includes(subpath.slice(2)))
    .map(([, entry]) => posix.join(folder, entry))
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (reached.has(file)) continue
    reached.add(file)
    for (const { specifier, typeOnly } of imports.get(file) ?? []) {
      if (specifier.startsWith('.') && !typeOnly) queue.push(posix.join(posix.dirname(file), specifier))
    }
  }
  return reached
}

/** What {@link judge} knows besides the import itself. */
interface Surroundings {
  readonly target: WorkspacePackage
  /** Dev dependencies of the root package, which tests and private packages may use. */
  readonly rootDependencies: object
  /** Files that a browser loads when it imports the package. */
  readonly browserFiles: ReadonlySet<string>
}

/** Checks one import against the rules; returns what is wrong, or nothing. */
function judge(
  file: string,
  found: Import,
  { target, rootDependencies, browserFiles }: Surroundings,
): string | undefined {
  const { folder, manifest } = target
  const { specifier, typeOnly, dynamic } = found
  const published = !manifest.private

  if (specifier.startsWith('.')) {
    const path = posix.join(posix.dirname(file), specifier)
    return path.startsWith(`${folder}/`) ? undefined : 'a relative import must stay inside its package: import by name'
  }
  if (isBuiltin(specifier)) {
    return browserFiles.has(file) && !typeOnly && !dynamic
      ? `an entry for browsers loads this file: reach it from the subpath ./${nodeOnlySubpaths[0]} only, or import it dynamically`
      : undefined
  }
  const name = packageName(specifier)
  if (name === manifest.name) {
    return isTest(file) || !published ? undefined : 'a package must import its own files by relative path'
  }
  const installed = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies }
  const testing = { ...installed, ...manifest.devDependencies, ...rootDependencies }
  if (!(name in (isTest(file) || !published ? testing : installed))) {
    return `${name} is not declared in ${folder}/package.json: add it to its dependencies or peerDependencies`
  }
  const rule = packageRules[folder.replace('packages/', '')]
  if (!name.startsWith(scope) || !rule || isTest(file)) return undefined
  const short = name.slice(scope.length)
  if (rule.values.includes(short) || (typeOnly && rule.types?.includes(short))) return undefined
  return `dependencies point one way: ${manifest.name} may use ${rule.values.join(', ') || 'no other package'}, not ${short}`
}

/**
 * Checks that packages depend on each other in the allowed direction, that every import is declared, that library code
 * keeps off Node's modules, and that the folders inside each published package form no cycle.
 */
export function checkDependencies(): Findings {
  const errors: string[] = []
  const rootDependencies = readManifest(join(root, 'package.json')).devDependencies ?? {}
  let count = 0
  for (const target of listPackages()) {
    const { folder, manifest } = target
    if (folder.startsWith('packages/') && !(folder.slice('packages/'.length) in packageRules)) {
      errors.push(`${folder}: no rule says what it may depend on: add it to tooling/checks/src/dependency-rules.ts`)
    }
    if (folder === 'packages/core') {
      for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
        errors.push(`${folder}/package.json: core has no runtime dependencies: remove ${name}`)
      }
    }
    const imports = new Map(
      listSources(target).map((file) => [file, readImports(file, readFileSync(join(root, file), 'utf8'))]),
    )
    const surroundings = { target, rootDependencies, browserFiles: listBrowserFiles(target, imports) }
    for (const [file, list] of imports) {
      for (const found of list) {
        count += 1
        const problem = judge(file, found, surroundings)
        if (problem) errors.push(`${file}:${found.line}: import of ${found.specifier}: ${problem}`)
      }
    }
    if (manifest.private) continue
    const source = `${folder}/src/`
    const inSource = [...imports]
      .filter(([file]) => !isTest(file))
      .map(([file, list]) => [file.slice(source.length), list] as const)
    errors.push(...findFolderCycles(new Map(inSource)).map((cycle) => `${source}: folders import each other: ${cycle}`))
  }
  return { errors, summary: `${count} imports` }
}
