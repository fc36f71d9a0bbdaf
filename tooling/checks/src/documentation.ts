import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { type CodeBlock, readCodeBlocks, readComments } from './documentation-blocks.ts'
import { type Importable, printMissingImports } from './example-imports.ts'
import { compareOutput, instrumentPrints } from './expected-output.ts'
import { type PublicNames, readPublicNames } from './exports.ts'
import { resolveBinary } from './pack.ts'
import { runProgram, startProgram } from './process.ts'
import type { Findings } from './report.ts'
import { listPublicPackages, listSources, root } from './workspace.ts'

/** The pages whose code must work. */
const pages = ['*.md', 'packages/*/*.md', 'apps/*/*.md', 'docs/*.md', 'docs/guides/*.md']

/** Inside a package that depends on every other, so that the blocks can import them by name. */
const outputFolder = join(root, 'tooling/checks/blocks')

/** The longest that one block may run, in milliseconds. */
const timeout = 120_000

/** The blocks of the pages, and the examples in comments of published packages with the imports that they leave out. */
function listBlocks(): CodeBlock[] {
  const markdown = pages
    .flatMap((pattern) => globSync(pattern, { cwd: root }))
    .filter((file) => !file.endsWith('CHANGELOG.md'))
    .sort()
    .flatMap((file) => readCodeBlocks(file, readFileSync(join(root, file), 'utf8')))
  const packages = listPublicPackages()
  const names = readPublicNames(packages)
  const examples = packages.flatMap((target) => {
    const importable = listImportable(names, target.manifest.name)
    return listSources(target)
      .flatMap((file) => readCodeBlocks(file, readComments(readFileSync(join(root, file), 'utf8'))))
      .map((block) => ({ ...block, source: printMissingImports(block.source, importable) + block.source }))
  })
  return [...markdown, ...examples]
}

/** Where each public name is imported from; names of the package itself go before those of others. */
function listImportable(names: ReadonlyMap<string, PublicNames>, own: string): Map<string, Importable> {
  const order = [...names].sort(([a], [b]) => Number(a === own) - Number(b === own))
  const entries = order.flatMap(([name, subpaths]) =>
    [...subpaths].flatMap(([subpath, list]) =>
      list.map((item) => [item.name, { specifier: name + subpath.slice(1), kind: item.kind }] as const),
    ),
  )
  return new Map(entries)
}

/**
 * Type-checks every TypeScript and JavaScript block of the documentation, examples in comments included, runs each as
 * a module of its own, and compares what it prints with the comments that say so.
 */
export async function checkDocumentation(): Promise<Findings> {
  const blocks = listBlocks().map((block) => ({
    ...block,
    file: `${block.page.replaceAll(/[^\w.-]/g, '-')}.${block.line}.ts`,
  }))
  const errors: string[] = []
  rmSync(outputFolder, { recursive: true, force: true })
  if (blocks.length === 0) return { errors, summary: 'no code blocks' }
  mkdirSync(outputFolder)
  const config = {
    extends: '../../../tsconfig.base.json',
    compilerOptions: { noUnusedLocals: false },
    include: ['.'],
  }
  writeFileSync(join(outputFolder, 'tsconfig.json'), JSON.stringify(config))
  for (const { file, source } of blocks) writeFileSync(join(outputFolder, file), source)

  const tsc = resolveBinary('typescript', 'tooling/checks', 'tsc')
  const types = runProgram(process.execPath, [tsc, '-p', outputFolder], { cwd: outputFolder })
  if (!types.ok) errors.push(`code blocks do not type-check (line numbers are those of the page):\n${types.output}`)
  const runnable = blocks.filter(({ run }) => run)
  const queue = runnable.values()
  const work = async (): Promise<void> => {
    for (const { file, page, line, source } of queue) {
      const program = join(outputFolder, `run-${file}`)
      writeFileSync(program, instrumentPrints(source))
      const outcome = await startProgram(process.execPath, [program], { cwd: root, timeout })
      if (!outcome.ok) errors.push(`${page}:${line}: the code block fails:\n${outcome.output}`)
      else errors.push(...compareOutput(source, outcome.stdout).map((found) => `${page}: ${found}`))
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work))
  return { errors, summary: `${blocks.length} code blocks, ${runnable.length} of them run` }
}
