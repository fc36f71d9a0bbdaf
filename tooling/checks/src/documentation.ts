import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readCodeBlocks } from './documentation-blocks.ts'
import { resolveBinary } from './pack.ts'
import { runProgram } from './process.ts'
import type { Findings } from './report.ts'
import { root } from './workspace.ts'

/** The pages whose code must work. */
const pages = ['*.md', 'packages/*/*.md', 'apps/*/*.md', 'docs/*.md']

/** Inside a package that depends on every other, so that the blocks can import them by name. */
const outputFolder = join(root, 'tooling/checks/.blocks')

/** The longest that one block may run, in milliseconds. */
const timeout = 120_000

/** Type-checks every TypeScript and JavaScript block of the documentation and runs each as a module of its own. */
export function checkDocumentation(): Findings {
  const files = pages.flatMap((pattern) => globSync(pattern, { cwd: root })).sort()
  const blocks = files
    .filter((file) => !file.endsWith('CHANGELOG.md'))
    .flatMap((file) => readCodeBlocks(file, readFileSync(join(root, file), 'utf8')))
    .map((block) => ({ ...block, file: `${block.page.replaceAll(/[^\w.-]/g, '-')}.${block.line}.ts` }))
  const errors: string[] = []
  rmSync(outputFolder, { recursive: true, force: true })
  if (blocks.length === 0) return { errors, summary: `no code blocks in ${files.length} pages` }
  mkdirSync(outputFolder)
  const config = { extends: '../../../tsconfig.base.json', compilerOptions: { noUnusedLocals: false }, include: ['.'] }
  writeFileSync(join(outputFolder, 'tsconfig.json'), JSON.stringify(config))
  for (const { file, source } of blocks) writeFileSync(join(outputFolder, file), source)

  const tsc = resolveBinary('typescript', 'tooling/checks', 'tsc')
  const types = runProgram(process.execPath, [tsc, '-p', outputFolder], { cwd: outputFolder })
  if (!types.ok) errors.push(`code blocks do not type-check (line numbers are those of the page):\n${types.output}`)
  const runnable = blocks.filter(({ run }) => run)
  for (const { file, page, line } of runnable) {
    const outcome = runProgram(process.execPath, [join(outputFolder, file)], { cwd: root, timeout })
    if (!outcome.ok) errors.push(`${page}:${line}: the code block fails:\n${outcome.output}`)
  }
  return { errors, summary: `${blocks.length} code blocks in ${files.length} pages, ${runnable.length} of them run` }
}
