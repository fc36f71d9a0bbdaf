import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import ts from 'typescript'
import { nodeOnlySubpaths } from './dependency-rules.ts'
import { readPublicNames } from './exports.ts'
import { type PackedPackage, packPublicPackages, resolveBinary } from './pack.ts'
import { cleanEnvironment, runProgram } from './process.ts'
import type { Findings } from './report.ts'
import { root } from './workspace.ts'

/** Programs that a user of the packages might write; each runs against the packed packages. */
const programs = join(root, 'tooling/checks/src/consumer')

/** The first Node on the path that is not the pinned one of this workspace: what a user of the packages might have. */
function findOtherNode(): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder && !folder.startsWith(root))
    .map((folder) => join(folder, process.platform === 'win32' ? 'node.exe' : 'node'))
    .find((file) => existsSync(file))
}

/** A module that imports every entry of every package and compares what is there with the public names of the source. */
function printNamesProgram(packed: readonly PackedPackage[], subpaths: (subpath: string) => boolean): string {
  const names = readPublicNames(packed)
  const lines: string[] = []
  for (const { manifest } of packed) {
    for (const [subpath, list] of names.get(manifest.name) ?? []) {
      if (!subpaths(subpath)) continue
      const values = list.filter(({ kind }) => kind === 'value').map(({ name }) => name)
      const specifier = manifest.name + subpath.slice(1)
      const index = lines.length
      lines.push(
        `import * as module${index} from '${specifier}'; check('${specifier}', module${index}, ${JSON.stringify(values)})`,
      )
    }
  }
  return `${lines.join('\n')}
function check(name: string, loaded: object, expected: string[]): void {
  const actual = Object.keys(loaded).sort().join(' ')
  if (actual !== expected.sort().join(' ')) {
    throw new Error(\`\${name} exports [\${actual}], its source exports [\${expected.join(' ')}]\`)
  }
}
export {}
`
}

function writeProject(folder: string, packed: readonly PackedPackage[]): string[] {
  const isNodeOnly = (subpath: string): boolean => nodeOnlySubpaths.includes(subpath.slice(2))
  const sources: Record<string, string> = {
    'names.ts': printNamesProgram(packed, (subpath) => !isNodeOnly(subpath)),
    'names-node.ts': printNamesProgram(packed, isNodeOnly),
  }
  for (const file of readdirSync(programs)) sources[file] = readFileSync(join(programs, file), 'utf8')

  const options = {
    strict: true,
    noEmit: true,
    target: 'es2022',
    // The declarations of core name `Symbol.dispose`.
    lib: ['es2023', 'esnext.disposable', 'dom', 'dom.iterable'],
    skipLibCheck: false,
    verbatimModuleSyntax: true,
    typeRoots: [join(root, 'node_modules/@types')],
  }
  const resolutions = { nodenext: { module: 'nodenext' }, bundler: { module: 'esnext', moduleResolution: 'bundler' } }
  for (const [name, resolution] of Object.entries(resolutions)) {
    const browser = { ...options, ...resolution, types: [] as string[] }
    const node = { ...browser, types: ['node'] }
    writeFileSync(
      join(folder, `tsconfig.${name}.json`),
      JSON.stringify({ compilerOptions: browser, exclude: ['names-node.ts'] }),
    )
    writeFileSync(join(folder, `tsconfig.${name}-node.json`), JSON.stringify({ compilerOptions: node }))
  }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  for (const [file, source] of Object.entries(sources)) {
    writeFileSync(join(folder, file), source)
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true },
    })
    writeFileSync(join(folder, file.replace(/\.ts$/, '.js')), outputText)
  }
  return Object.keys(sources).map((file) => file.replace(/\.ts$/, '.js'))
}

/**
 * Installs the packed packages into a blank project with npm, type-checks programs against them with both module
 * resolutions, and runs these under the pinned Node and under another one from the path.
 */
export function checkConsumer(): Findings {
  const packed = packPublicPackages()
  const folder = mkdtempSync(join(tmpdir(), 'tessera-consumer-'))
  const errors: string[] = []
  const warnings: string[] = []
  const runs: string[] = []
  try {
    const scripts = writeProject(folder, packed)
    const archives = packed.map(({ archive }) => archive)
    const install = runProgram('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', ...archives], {
      cwd: folder,
      environment: cleanEnvironment(),
    })
    if (!install.ok)
      return { errors: [`npm could not install the packed packages:\n${install.output}`], summary: 'failed' }

    const tsc = resolveBinary('typescript', 'tooling/checks', 'tsc')
    for (const name of readdirSync(folder).filter((file) => file.startsWith('tsconfig.'))) {
      const outcome = runProgram(process.execPath, [tsc, '-p', name], { cwd: folder })
      if (!outcome.ok) errors.push(`the packed packages do not type-check with ${name}:\n${outcome.output}`)
      runs.push(name.slice('tsconfig.'.length, -'.json'.length))
    }

    const otherNode = findOtherNode()
    if (!otherNode) warnings.push('no other Node on the path: the packed packages ran under the pinned Node only')
    for (const binary of otherNode ? [process.execPath, otherNode] : [process.execPath]) {
      const version = runProgram(binary, ['--version'], { cwd: folder }).stdout.trim()
      for (const script of scripts) {
        const outcome = runProgram(binary, [script], { cwd: folder, environment: cleanEnvironment(), timeout: 120_000 })
        if (!outcome.ok)
          errors.push(`${script} failed against the packed packages under Node ${version}:\n${outcome.output}`)
      }
      runs.push(`Node ${version}`)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return { errors, warnings, summary: `${packed.length} packages: ${runs.join(', ')}` }
}
