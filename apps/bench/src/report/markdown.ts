import { digits } from './digits.ts'
import type { CaseResult, Report } from './report.ts'

/** The report as a table for a page: a row for each case, a column for each implementation, the medians and their ranges in milliseconds. */
export function renderMarkdown(report: Report): string {
  const { machine, limits, date } = report
  const labels = unique(report.cases.map(label))
  const rows = unique(report.cases.map((result) => result.case)).map((name) => {
    const cells = labels.map((wanted) => {
      const result = report.cases.find((candidate) => candidate.case === name && label(candidate) === wanted)
      return result ? cell(result) : '–'
    })
    return `| ${[name, ...cells].join(' | ')} |`
  })
  return [
    `${date.slice(0, 16).replace('T', ' ')} UTC, ${machine.processor}, ${machine.cores} cores, ${machine.browser ?? `Node ${machine.node}`}. ` +
      `Threads: ${limits.threads}. Limits in the same run: ${limits.fma128Gflops.toFixed(1)} GFLOP/s at 128 bits, ` +
      `${limits.fma256Gflops.toFixed(1)} GFLOP/s at 256 bits, ${limits.copyGBs.toFixed(1)} GB/s copying.`,
    '',
    `| case | ${labels.join(' | ')} |`,
    `|${'---|'.repeat(labels.length + 1)}`,
    ...rows,
    '',
  ].join('\n')
}

const unique = (names: readonly string[]): string[] => [...new Set(names)]

const label = ({ implementation, variant }: CaseResult): string => `${implementation}/${variant}`

function cell({ medianMs, minMs, maxMs }: CaseResult): string {
  return `${digits(medianMs)} (${digits(minMs)}–${digits(maxMs)})`
}
