import type { DType } from '../../graph/format.ts'

/** What passed: one check of one op in one format. */
export interface OpCoverage {
  readonly op: string
  readonly format: DType
  readonly check: 'values' | 'vmap' | 'gradient' | 'second gradient'
  /** Cases of the table. */
  readonly cases: number
  /** Cases of random shapes, layouts and contents. */
  readonly drawn: number
}

/** What a run of `testOp` covers, as JSON. */
export interface CoverageRecord {
  readonly backend: string
  /** How the suite ran: what is not the usual, in words. */
  readonly suite: string
  /** Why formats of core, or kinds of checks, are missing: their names, joined by commas, and the reason. */
  readonly gaps: Readonly<Record<string, string>>
  /** By op and kind of check: the formats, each with its cases of the table and the drawn ones, such as `f32 9+8`. */
  readonly ops: Readonly<Record<string, Readonly<Partial<Record<OpCoverage['check'], string>>>>>
}

export interface CoverageCollector {
  /** For `onCovered` of `testOp`. */
  readonly add: (covered: OpCoverage) => void
  /** The record as text that is the same in every run, one op a line. */
  readonly format: () => string
}

/**
 * Collects what `testOp` covers on a backend, to publish it or to compare it with what was published.
 *
 * @example
 * ```ts sketch
 * const coverage = collectCoverage({ backend: 'mine', suite: 'all', gaps: { f64: 'the device has no f64' } })
 * testOp({ ops: opTests, use: [myBackend()], run, onCovered: coverage.add })
 * it('covers what was published', () => expect(coverage.format()).toMatchFileSnapshot('coverage.json'))
 * ```
 */
export function collectCoverage(about: Omit<CoverageRecord, 'ops'>): CoverageCollector {
  const covered: OpCoverage[] = []
  return {
    add: (entry) => {
      covered.push(entry)
    },
    format: () => {
      const ops = [...new Set(covered.map(({ op }) => op))].sort()
      const lines = ops.map((op) => {
        const checks: Partial<Record<OpCoverage['check'], string>> = {}
        for (const { check, format, cases, drawn } of covered.filter((entry) => entry.op === op))
          checks[check] = [...(checks[check] === undefined ? [] : [checks[check]]), `${format} ${cases}+${drawn}`].join(
            ', ',
          )
        return `    ${JSON.stringify(op)}: ${JSON.stringify(checks)}`
      })
      const head = Object.entries(about).map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)},`)
      return ['{', ...head, '  "ops": {', lines.join(',\n'), '  }', '}', ''].join('\n')
    },
  }
}
