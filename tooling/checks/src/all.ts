/**
 * Runs the checks, all of them or those that are named:
 *
 *   node tooling/checks/src/all.ts [NAME...] [--update]
 */
import { parseArgs } from 'node:util'
import { checkConsumer } from './consumer.ts'
import { checkCoverage } from './coverage.ts'
import { checkDependencies } from './dependencies.ts'
import { checkDocumentation } from './documentation.ts'
import { checkExamples } from './examples.ts'
import { checkExports } from './exports.ts'
import { checkLineBudget } from './line-budget.ts'
import { checkLicences, checkPublished } from './published.ts'
import type { Check } from './report.ts'
import { checkSizes } from './sizes.ts'
import { checkUnused } from './unused.ts'

/** In order of what a failure makes pointless to look at next. */
const checks: readonly Check[] = [
  { name: 'dependencies', run: checkDependencies },
  { name: 'lines', run: checkLineBudget },
  { name: 'exports', run: checkExports },
  { name: 'coverage', run: checkCoverage },
  { name: 'unused', run: checkUnused },
  { name: 'docs', run: checkDocumentation },
  { name: 'sizes', run: checkSizes },
  { name: 'licences', run: checkLicences },
  { name: 'published', run: checkPublished },
  { name: 'consumer', run: checkConsumer },
  { name: 'examples', run: checkExamples },
]

const { values, positionals } = parseArgs({
  options: { update: { type: 'boolean', default: false } },
  allowPositionals: true,
})
const unknown = positionals.find((name) => !checks.some((check) => check.name === name))
if (unknown) {
  console.error(`there is no check named ${unknown}: choose from ${checks.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}

let failed = 0
for (const { name, run } of checks) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  const start = performance.now()
  let errors: readonly string[]
  let warnings: readonly string[] = []
  let summary = 'could not run'
  try {
    const findings = await run({ update: values.update })
    errors = findings.errors
    warnings = findings.warnings ?? []
    summary = findings.summary
  } catch (error) {
    errors = [error instanceof Error ? error.message : String(error)]
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${errors.length > 0 ? 'FAIL' : 'ok  '} ${name.padEnd(12)} ${summary} (${seconds} s)`)
  for (const text of warnings) console.log(`     warning: ${text}`)
  for (const text of errors) console.log(`     ${text.replaceAll('\n', '\n     ')}`)
  if (errors.length > 0) failed += 1
}
if (failed > 0) console.error(`${failed} ${failed === 1 ? 'check' : 'checks'} failed`)
process.exitCode = failed > 0 ? 1 : 0
