import { full, range, type Tensor, TesseraError, where, zeros } from '@tessera/core'

export interface AccuracyOptions {
  /** The target counts as found when it is among so many of the largest logits; 1 by default. */
  readonly top?: number
  /** Targets of this value do not count. */
  readonly ignoreIndex?: number
}

/**
 * Part of the targets that are among the `top` largest logits; of equal logits the one with the lower index comes first. A mean
 * over no targets at all is 0.
 *
 * @param logits `[..., classes]`
 * @param targets `[...]`, i32 or u32
 * @returns a scalar, f32
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { accuracy } from '@tessera/nn'
 * const logits = tensor([[3, 2, 1], [1, 3, 2]])
 * const targets = tensor(new Int32Array([0, 2]))
 * console.log(await accuracy(logits, targets).item(), await accuracy(logits, targets, { top: 2 }).item()) // 0.5, 1
 * ```
 */
export function accuracy(logits: Tensor, targets: Tensor, { top = 1, ignoreIndex }: AccuracyOptions = {}): Tensor {
  if (!Number.isSafeInteger(top) || top < 1) {
    throw new TesseraError('METRIC_OPTIONS', `accuracy: top must be a whole number from 1 up, got ${top}.`)
  }
  const target = targets.cast('i32').unsqueeze(-1)
  const classes = range(logits.shape.at(-1)!)
  const own = where(classes.equal(target), logits, 0).sum(-1, { keepDims: true })
  const isBefore = logits.greater(own).or(logits.equal(own).and(classes.less(target)))
  const rank = isBefore.cast('i32').sum(-1)
  const known = target
    .greaterEqual(0)
    .and(target.less(logits.shape.at(-1)!))
    .squeeze(-1)
  const found = rank.less(top).and(known).cast('f32')
  if (ignoreIndex === undefined) return found.mean()
  const counts = targets.notEqual(ignoreIndex).cast('f32')
  return found.multiply(counts).sum().divide(counts.sum().maximum(1))
}

/** `exp` of a mean loss in nats: how many equally likely choices a prediction is worth. */
export function perplexity(meanLoss: Tensor): Tensor {
  return meanLoss.exp()
}

/**
 * How often each class was taken for each: element `[target, prediction]` counts the pairs. Matrices of several batches are added.
 * Pairs with a class out of range do not count.
 *
 * @param predictions `[...]`, i32 or u32, for example `logits.argMax()`
 * @param targets `[...]`, i32 or u32
 * @returns `[classes, classes]`, i32
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { classScores, confusionMatrix } from '@tessera/nn'
 * const classes = (...indices: number[]) => tensor(new Int32Array(indices))
 * const matrix = confusionMatrix(classes(0, 1, 1, 0), classes(0, 1, 0, 0), 2)
 * console.log(await matrix.data()) // [2, 1, 0, 1]
 * console.log(await classScores(matrix).f1.data()) // 0.8, 0.667
 * ```
 */
export function confusionMatrix(predictions: Tensor, targets: Tensor, classes: number): Tensor {
  const row = targets.cast('i32').reshape([-1])
  const column = predictions.cast('i32').reshape([-1])
  const isValid = (index: Tensor) => index.greaterEqual(0).and(index.less(classes))
  // What is out of range goes to a position that scatterAdd ignores.
  const position = where(isValid(row).and(isValid(column)), row.multiply(classes).add(column), classes * classes)
  const counts = zeros([classes * classes], 'i32')
  return counts.scatterAdd(position, full(row.shape, 1, 'i32')).reshape([classes, classes])
}

/** Scores of each class, `[classes]`, f32; 0 where a quotient has nothing to divide by. */
export interface ClassScores {
  /** Part of the predictions of a class that are right. */
  readonly precision: Tensor
  /** Part of the targets of a class that were found. */
  readonly recall: Tensor
  /** Harmonic mean of both: 2 · hits / (predictions + targets). */
  readonly f1: Tensor
  /** Number of targets. */
  readonly support: Tensor
}

/** @param matrix `[classes, classes]` from `confusionMatrix` */
export function classScores(matrix: Tensor): ClassScores {
  const counts = matrix.cast('f32')
  const diagonal = range(matrix.shape[0]!).unsqueeze(1).equal(range(matrix.shape[0]!))
  const hits = where(diagonal, counts, 0).sum(1)
  const support = counts.sum(1)
  const predicted = counts.sum(0)
  return {
    precision: hits.divide(predicted.maximum(1)),
    recall: hits.divide(support.maximum(1)),
    f1: hits.multiply(2).divide(predicted.add(support).maximum(1)),
    support,
  }
}

/**
 * One F1 of all classes: their mean (`macro`), their mean by number of targets (`weighted`), or that of all pairs together
 * (`micro`, which equals the accuracy).
 *
 * @param matrix `[classes, classes]` from `confusionMatrix`
 * @returns a scalar, f32
 */
export function f1Score(matrix: Tensor, average: 'macro' | 'micro' | 'weighted' = 'macro'): Tensor {
  const { f1, recall, support } = classScores(matrix)
  if (average === 'macro') return f1.mean()
  const total = support.sum().maximum(1)
  return (average === 'micro' ? recall : f1).multiply(support).sum().divide(total)
}
