import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import type { CheckOptions, Findings } from './report.ts'
import { listPublicPackages, root, type WorkspacePackage } from './workspace.ts'

/** One public name. */
export interface PublicName {
  readonly name: string
  /** Whether it exists at run time, or only for the type checker. */
  readonly kind: 'value' | 'type'
}

/** Public names by subpath (`.`, `./testing`). */
export type PublicNames = ReadonlyMap<string, readonly PublicName[]>

/** Reads the public names of packages from their sources, by package name. */
export function readPublicNames(packages: readonly WorkspacePackage[]): Map<string, PublicNames> {
  const entries = packages.flatMap(({ folder, manifest }) =>
    Object.entries(manifest.exports ?? {}).map(([subpath, file]) => ({
      name: manifest.name,
      subpath,
      file: join(root, folder, file),
    })),
  )
  const config = ts.getParsedCommandLineOfConfigFile(
    join(root, 'tsconfig.base.json'),
    {},
    {
      ...ts.sys,
      onUnRecoverableConfigFileDiagnostic: (diagnostic) => {
        throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'))
      },
    },
  )
  const program = ts.createProgram(
    entries.map((entry) => entry.file),
    config?.options ?? {},
  )
  const checker = program.getTypeChecker()
  const result = new Map<string, Map<string, PublicName[]>>()
  for (const { name, subpath, file } of entries) {
    const source = program.getSourceFile(file)
    if (!source) throw new Error(`${name}: the export ${subpath} names ${file}, which does not exist`)
    const symbol = checker.getSymbolAtLocation(source)
    const names = (symbol ? checker.getExportsOfModule(symbol) : []).map((exported): PublicName => {
      const typeOnly = exported.declarations?.some(
        (declaration) =>
          ts.isExportSpecifier(declaration) && (declaration.isTypeOnly || declaration.parent.parent.isTypeOnly),
      )
      const target = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported
      const kind = !typeOnly && target.flags & ts.SymbolFlags.Value ? 'value' : 'type'
      return { name: exported.name, kind }
    })
    const sorted = names.sort((a, b) => (a.name < b.name ? -1 : 1))
    result.set(name, (result.get(name) ?? new Map()).set(subpath, sorted))
  }
  return result
}

/** The text that is stored for a package: a heading per subpath, below it one name a line. */
export function printPublicNames(names: PublicNames): string {
  return [...names]
    .map(([subpath, list]) => [subpath, ...list.map(({ name, kind }) => `  ${kind} ${name}`)].join('\n'))
    .join('\n\n')
    .concat('\n')
}

function compare(folder: string, stored: string, actual: string): string[] {
  const label = (text: string): Set<string> => {
    let subpath = ''
    const lines = text.split('\n').flatMap((line) => {
      if (line && !line.startsWith(' ')) subpath = line
      return line.startsWith(' ') ? [`${subpath} ${line.trim()}`] : []
    })
    return new Set(lines)
  }
  const [before, after] = [label(stored), label(actual)]
  const cure = 'if that is meant, run: npm run check:exports -- --update'
  const lost = [...before]
    .filter((line) => !after.has(line))
    .map((line) => `${folder}: no longer exports ${line}; ${cure}`)
  const added = [...after]
    .filter((line) => !before.has(line))
    .map((line) => `${folder}: newly exports ${line}; ${cure}`)
  return [...lost, ...added]
}

/** Compares the public names of every published package with its `exports.snapshot.txt`, or writes that file. */
export function checkExports({ update }: CheckOptions): Findings {
  const packages = listPublicPackages()
  const names = readPublicNames(packages)
  const errors: string[] = []
  let count = 0
  for (const { folder, manifest } of packages) {
    const current = names.get(manifest.name)!
    count += [...current.values()].flat().length
    const file = join(root, folder, 'exports.snapshot.txt')
    const actual = printPublicNames(current)
    if (update) writeFileSync(file, actual)
    else errors.push(...compare(folder, existsSync(file) ? readFileSync(file, 'utf8') : '', actual))
  }
  return {
    errors,
    summary: `${count} public names of ${packages.length} packages${update ? ', snapshots written' : ''}`,
  }
}
