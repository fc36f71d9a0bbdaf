import type { GptStepCase } from './gpt-step.ts'
import type { LimitCase } from './limits.ts'
import type { MatmulCase } from './matmul.ts'

/** What a run is asked to do, as plain data that crosses the process boundary as JSON. */
export type BenchmarkCase = MatmulCase | GptStepCase | LimitCase

/** Least arithmetic and least memory traffic of one run: each operand read once, each result written once. */
export interface Work {
  /** Floating-point operations; a multiplication and an addition count as two. */
  readonly flops: number
  /** Bytes read plus bytes written. */
  readonly bytes: number
}

/** One kind of case: what is timed, what it costs at least and what result is right. */
export interface CaseFamily<Case extends BenchmarkCase> {
  readonly kind: Case['kind']
  /** Timed cases. */
  readonly cases: readonly Case[]
  /** Small cases that an implementation must get right before any case of this kind is timed. */
  readonly checks: readonly Case[]
  /** Largest relative root-mean-square error against float64 that still counts as right. */
  readonly tolerance: number
  work(benchmarkCase: Case): Work
  /** Positions of the output that are compared; undefined: all. */
  checkedIndices(benchmarkCase: Case): readonly number[] | undefined
  /** The right values at {@link checkedIndices}, from float64 arithmetic. */
  expected(benchmarkCase: Case): Float64Array
}
