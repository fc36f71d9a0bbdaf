import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Findings } from './report.ts'
import { isTest, listPackages, listSources, root } from './workspace.ts'

/** Lines above which a source file fails the check. */
const limit = 500
/** Lines above which a source file deserves a look. */
const aim = 350

/** Checks the length of every source file that is not a test. */
export function checkLineBudget(): Findings {
  const errors: string[] = []
  const warnings: string[] = []
  const files = listPackages()
    .flatMap(listSources)
    .filter((file) => !isTest(file))
  for (const file of files) {
    const lines = readFileSync(join(root, file), 'utf8').trimEnd().split('\n').length
    if (lines > limit) errors.push(`${file}: ${lines} lines, the limit is ${limit}: split it by purpose`)
    else if (lines > aim) warnings.push(`${file}: ${lines} lines, aim for ${aim}`)
  }
  return { errors, warnings, summary: `${files.length} files` }
}
