import {
  concatenate,
  formatSpec,
  full,
  logAddExp,
  ShapeError,
  scan,
  type Tensor,
  takeAlongAxis,
  where,
} from '@tessera/core'
import { reduceLosses } from './reduction.ts'
import type { LossOptions } from './regression.ts'

export interface CtcOptions extends LossOptions {
  /** The class that stands for no label; 0 by default. */
  readonly blank?: number
  /** `[batch]` (i32): how many steps of each sequence count; all by default. */
  readonly inputLengths?: Tensor
  /** `[batch]` (i32): how many labels of each sequence count; all by default. */
  readonly targetLengths?: Tensor
}

/** Stands for log 0: far below every path, and without the NaN that infinities bring into gradients. */
const never = -1e30

/**
 * Connectionist temporal classification (Graves et al. 2006, formulas 6 to 8): −log of the probability of all paths that read as the labels when repeats and
 * blanks are dropped, in logarithms, step by step. Labels that do not fit into the steps cost 10³⁰; PyTorch gives infinity.
 *
 * @param logProbabilities `[batch, time, classes]`, from `logSoftmax`
 * @param targets `[batch, labels]`, i32, none of them blank
 * @returns a scalar, or `[batch]` with reduction `none`; `mean` is over sequences
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { ctcLoss } from '@tessera/nn'
 * const logits = tensor([[[0, 1, 0], [1, 0, 0], [0, 0, 1]]])
 * console.log(await ctcLoss(logits.logSoftmax(), tensor([[1, 2]], [1, 2], 'i32')).item()) // 0.9579774737358093
 * ```
 */
export function ctcLoss(logProbabilities: Tensor, targets: Tensor, options: CtcOptions = {}): Tensor {
  const { blank = 0, inputLengths, targetLengths, reduction } = options
  const [batch, time] = logProbabilities.shape as readonly [number, number]
  if (logProbabilities.rank !== 3 || targets.rank !== 2 || targets.shape[0] !== batch || time === 0) {
    throw new ShapeError(
      `ctcLoss: expects [batch, time, classes] with at least one step and [batch, labels], got ${formatSpec(logProbabilities)} and ${formatSpec(targets)}.`,
    )
  }
  const labels = targets.shape[1]!
  const places = 2 * labels + 1
  // A blank before, between and after the labels.
  const blanks = full([batch, labels], blank, 'i32')
  const pairs = concatenate([blanks.unsqueeze(2), targets.cast('i32').unsqueeze(2)], 2).reshape([batch, 2 * labels])
  const path = concatenate([pairs, full([batch, 1], blank, 'i32')], 1)
  // [time, batch, places]
  const emissions = takeAlongAxis(logProbabilities, path.unsqueeze(1).expand([batch, time, places]), 2).transpose([
    1, 0, 2,
  ])
  const { dtype } = logProbabilities
  const shifted = (x: Tensor, by: number, rest: number): Tensor =>
    concatenate([full([batch, Math.min(by, places)], rest, x.dtype), x.slice(1, 0, Math.max(0, places - by))], 1)
  // A label may follow the last but one place where that is another label.
  const skips = path.notEqual(blank).and(path.notEqual(shifted(path, 2, blank)))
  const start = concatenate(
    [emissions.select(0, 0).slice(1, 0, 2), full([batch, Math.max(0, places - 2)], never, dtype)],
    1,
  )
  const steps = full([time], 1, 'i32')
  const [last] = scan(
    ({ alpha, at }: { alpha: Tensor; at: Tensor }, [emission]: [Tensor, Tensor]) => {
      const stay = logAddExp(alpha, shifted(alpha, 1, never))
      const next = logAddExp(stay, where(skips, shifted(alpha, 2, never), never)).add(emission)
      // Nothing comes before the first step, and nothing after the last one that counts.
      const isInside = inputLengths ? at.less(inputLengths.cast('i32')).unsqueeze(1) : at.less(time)
      return [{ alpha: where(at.equal(0), alpha, where(isInside, next, alpha)), at: at.add(1) }, []] as const
    },
    { alpha: start, at: full([], 0, 'i32') },
    [emissions, steps] as [Tensor, Tensor],
  )
  const end = (targetLengths?.cast('i32') ?? full([batch], labels, 'i32')).multiply(2).unsqueeze(1)
  const final = takeAlongAxis(last.alpha, end, 1)
  const before = where(end.equal(0), never, takeAlongAxis(last.alpha, end.subtract(1), 1))
  return reduceLosses(logAddExp(final, before).squeeze(1).negate(), reduction)
}
