import { resolveBinary } from './pack.ts'
import { runProgram } from './process.ts'
import type { Findings } from './report.ts'
import { root } from './workspace.ts'

/** Looks for files, exports and dependencies that nothing uses, with knip. */
export function checkUnused(): Findings {
  const knip = resolveBinary('knip', 'tooling/checks', 'knip')
  const outcome = runProgram(process.execPath, [knip, '--no-progress', '--treat-config-hints-as-errors'], { cwd: root })
  return { errors: outcome.ok ? [] : [`knip found something that nothing uses:\n${outcome.output}`], summary: 'knip' }
}
