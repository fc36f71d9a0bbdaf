import type { Conv2dCase } from './conv2d.ts'
import type { GptDecodeCase } from './gpt-decode.ts'
import type { GptStepCase } from './gpt-step.ts'
import type { LimitCase } from './limits.ts'
import type { MatmulCase } from './matmul.ts'
import type { OpCase } from './op.ts'
import type { VggCase } from './vgg.ts'
import type { Work } from './work.ts'

/** What a run is asked to do, as plain data that crosses the process boundary as JSON. */
export type BenchmarkCase = MatmulCase | Conv2dCase | OpCase | VggCase | GptStepCase | GptDecodeCase | LimitCase

/** One kind of case: what is timed, what it costs at least and what result is right. */
export interface CaseFamily<Case extends BenchmarkCase> {
  readonly kind: Case['kind']
  /** Timed cases. */
  readonly cases: readonly Case[]
  /** Small cases that an implementation must get right before any case of this kind is timed. */
  readonly checks: readonly Case[]
  /** Cases of different groups have checks of their own; undefined: there is one group. */
  group?(benchmarkCase: Case): string
  /** Largest relative root-mean-square error against float64 that still counts as right. */
  readonly tolerance: number
  work(benchmarkCase: Case): Work
  /** Positions of the output that are compared; undefined: all. */
  checkedIndices(benchmarkCase: Case): readonly number[] | undefined
  /** The right values at {@link checkedIndices}, from float64 arithmetic. */
  expected(benchmarkCase: Case): Float64Array
}
