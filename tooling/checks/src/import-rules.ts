import { isBuiltin } from 'node:module'
import { posix } from 'node:path'
import { nodeOnlySubpaths, packageRules } from './dependency-rules.ts'
import type { Import } from './imports.ts'
import type { Manifest } from './workspace.ts'

const scope = '@tessera/'

/** Imports by file. Paths count from the root of the repository. */
export type ImportsByFile = ReadonlyMap<string, readonly Import[]>

/** What {@link judgeImport} knows besides the import itself. */
export interface Surroundings {
  readonly folder: string
  readonly manifest: Manifest
  /** Dependencies of the root package, which tests and private packages may use. */
  readonly rootDependencies: object
  /** Files that are part of the published package: tests and their helpers are not. */
  readonly shipped: ReadonlySet<string>
  /** Files that a browser loads when it imports the package. */
  readonly browser: ReadonlySet<string>
}

/** Lists the files that the entries reach by the relative imports that count. */
function reach(entries: readonly string[], imports: ImportsByFile, counts: (found: Import) => boolean): Set<string> {
  const reached = new Set<string>()
  const queue = [...entries]
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (reached.has(file)) continue
    reached.add(file)
    for (const found of imports.get(file) ?? []) {
      if (found.specifier.startsWith('.') && counts(found)) queue.push(posix.join(posix.dirname(file), found.specifier))
    }
  }
  return reached
}

/** Gathers what the rules need to know of a package. */
export function surroundingsOf(
  folder: string,
  manifest: Manifest,
  imports: ImportsByFile,
  rootDependencies: object,
): Surroundings {
  const entries = Object.entries(manifest.private ? {} : (manifest.exports ?? {}))
  const files = entries.map(([, file]) => posix.join(folder, file))
  const browserFiles = entries
    .filter(([subpath]) => !nodeOnlySubpaths.includes(subpath.slice(2)))
    .map(([, file]) => posix.join(folder, file))
  return {
    folder,
    manifest,
    rootDependencies,
    shipped: reach(files, imports, () => true),
    browser: reach(browserFiles, imports, ({ typeOnly, dynamic }) => !typeOnly && !dynamic),
  }
}

/** The package that a bare specifier names: `@scope/name/sub` → `@scope/name`. */
function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Checks one import against the rules; returns what is wrong and the cure, or nothing. */
export function judgeImport(file: string, found: Import, surroundings: Surroundings): string | undefined {
  const { folder, shipped, browser } = surroundings
  const { specifier, typeOnly, dynamic } = found
  if (specifier.startsWith('.')) {
    const path = posix.join(posix.dirname(file), specifier)
    return path.startsWith(`${folder}/`) ? undefined : 'a relative import must stay inside its package: import by name'
  }
  if (isBuiltin(specifier)) {
    return browser.has(file) && !typeOnly && !dynamic
      ? `an entry for browsers loads this file: reach it from the subpath ./${nodeOnlySubpaths[0]} only, or import it dynamically`
      : undefined
  }
  return shipped.has(file) ? judgeShipped(found, surroundings) : judgeUnshipped(found, surroundings)
}

/** An import in a file that users get. */
function judgeShipped({ specifier }: Import, { folder, manifest }: Surroundings): string | undefined {
  const name = packageName(specifier)
  if (name === manifest.name) return 'a package must import its own files by relative path'
  if (!(name in { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies })) {
    return `${name} is not declared in ${folder}/package.json: add it to its dependencies or peerDependencies`
  }
  const rule = packageRules[folder.replace('packages/', '')]
  if (!name.startsWith(scope) || !rule) return undefined
  const short = name.slice(scope.length)
  if (rule.values.includes(short)) return undefined
  return `dependencies point one way: ${manifest.name} may use ${rule.values.join(', ') || 'no other package'}, not ${short}`
}

/** An import in a test, a helper of tests, or a package that is not published. */
function judgeUnshipped(
  { specifier }: Import,
  { folder, manifest, rootDependencies }: Surroundings,
): string | undefined {
  const name = packageName(specifier)
  const { dependencies, peerDependencies, optionalDependencies, devDependencies } = manifest
  const known = {
    ...dependencies,
    ...peerDependencies,
    ...optionalDependencies,
    ...devDependencies,
    ...rootDependencies,
  }
  if (name === manifest.name || name in known) return undefined
  return `${name} is not declared in ${folder}/package.json: add it to its devDependencies`
}
