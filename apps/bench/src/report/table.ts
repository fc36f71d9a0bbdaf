import Table from 'cli-table3'
import { digits } from './digits.ts'
import type { CaseResult, Report } from './report.ts'

const columns = ['case', 'implementation', 'median ms', 'min', 'max', 'GFLOP/s', 'of limit', '× best peer']

/** The report as text for a terminal: machine and limits, a table of the cases, and who is missing why. */
export function renderTable(report: Report): string {
  const { machine, limits } = report
  const table = new Table({
    head: columns,
    colAligns: ['left', 'left', ...columns.slice(2).map(() => 'right' as const)],
    style: { head: [], border: [], compact: true },
  })
  let previous: string | undefined
  for (const result of report.cases) {
    table.push([result.case === previous ? '' : result.case, ...row(result)])
    previous = result.case
  }
  // A browser has no 256-bit code.
  const wide = limits.fma256Gflops > 0 ? `${limits.fma256Gflops.toFixed(1)} GFLOP/s (256-bit), ` : ''
  return [
    `${machine.processor}, ${machine.cores} cores, ${machine.system}, ${machine.browser ?? `Node ${machine.node}`}, load ${machine.loadAverage.toFixed(2)}`,
    `threads: ${limits.threads}; limits: ${limits.fma128Gflops.toFixed(1)} GFLOP/s (128-bit), ` +
      `${wide}${limits.copyGBs.toFixed(1)} GB/s copying`,
    ...(report.cases.length > 0 ? [table.toString()] : []),
    ...missing(report),
  ].join('\n')
}

function row(result: CaseResult): string[] {
  const { implementation, variant, medianMs, minMs, maxMs, gflops, shareOfLimit, ratioToBestPeer } = result
  return [
    `${implementation}/${variant}`,
    digits(medianMs),
    digits(minMs),
    digits(maxMs),
    gflops.toFixed(1),
    `${(100 * shareOfLimit).toFixed(0)} %`,
    ratioToBestPeer === null ? '' : ratioToBestPeer.toFixed(2),
  ]
}

/** One line for each reason. */
function missing({ implementations, notTimed }: Report): string[] {
  const lines: string[] = []
  for (const { implementation, variant, unavailable } of implementations) {
    if (unavailable !== null) lines.push(`not available: ${implementation}/${variant}: ${unavailable}`)
  }
  const subjects = new Map<string, string[]>()
  for (const { implementation, variant, reason } of notTimed) {
    const label = `${implementation}/${variant}`
    const labels = subjects.get(reason) ?? []
    subjects.set(reason, labels.includes(label) ? labels : [...labels, label])
  }
  for (const [reason, labels] of subjects) lines.push(`not timed: ${labels.join(', ')}: ${reason}`)
  return lines
}
