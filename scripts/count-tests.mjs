/**
 * Prints `N passed, N failed` from a report of vitest's JSON reporter, after the reasons of what was skipped:
 *
 *   node scripts/count-tests.mjs FILE
 *
 * Exits with 1 when a test failed, when a file of tests could not be loaded or when no test ran at all.
 */
import { existsSync, readFileSync } from 'node:fs'
import { relative } from 'node:path'

const file = process.argv[2]
if (!file || !existsSync(file)) {
  console.error(`There is no report of tests at ${file ?? '(no file named)'}: the tests did not run to their end.`)
  console.log('0 passed, 0 failed')
  process.exit(1)
}

const report = JSON.parse(readFileSync(file, 'utf8'))
// A file that cannot be loaded holds no test that could fail, so it counts as one failure.
const broken = report.testResults.filter(
  (result) => result.status === 'failed' && !result.assertionResults.some((test) => test.status === 'failed'),
)
for (const { name, message } of broken) console.log(`Could not be loaded: ${relative('.', name)}: ${message}`)

const skipped = report.numPendingTests + report.numTodoTests
if (skipped > 0) console.log(`${skipped} skipped`)

const passed = report.numPassedTests
const failed = report.numFailedTests + broken.length
if (passed + failed === 0) console.log('No test ran.')
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 || passed === 0 || !report.success ? 1 : 0
