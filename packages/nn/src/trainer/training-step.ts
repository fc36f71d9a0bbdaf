import { full, type Jitted, jit, type ProgramPolicy, stack, type Tensor, valueAndGradWith, where } from '@tessera/core'
import type { ExponentialMovingAverage } from '../averaging/exponential-moving-average.ts'
import type { GradientAccumulator } from '../gradients/accumulate.ts'
import { clipByGlobalNorm, globalNorm } from '../gradients/clip.ts'
import type { LossScale } from '../loss-scaling/loss-scale.ts'
import type { Module } from '../modules/module.ts'
import type { Optimizer } from '../optimizers/optimizer.ts'

/** The loss of a batch: a scalar. Recorded once, inside of `jit`. */
export type BatchLoss<Model extends Module, Batch> = (model: Model, batch: Batch) => Tensor

/**
 * One compiled step; gives loss, gradient norm, learning rate, whether the update was made (1 or 0) and the loss scale as f32[5].
 */
export type TrainingStep<Model extends Module, Batch> = Jitted<
  [
    model: Model,
    optimizer: Optimizer,
    average: ExponentialMovingAverage | undefined,
    batch: Batch,
    lossScale?: LossScale | undefined,
  ],
  Tensor
>

export interface TrainingStepOptions {
  /** Gradients are scaled down to this global norm; not at all by default. */
  readonly maximumGradientNorm?: number | undefined
  /** Rewrites the step, for example to round its values to a number format. */
  readonly policy?: ProgramPolicy | undefined
}

/**
 * The whole of a training step as one program: loss, gradients of the trainable parameters, clipping, update, average.
 * Put the model into the mode that is wanted before the call: `train()` and `eval()` make programs of their own.
 */
export function trainingStep<Model extends Module, Batch>(
  loss: BatchLoss<Model, Batch>,
  options: TrainingStepOptions = {},
): TrainingStep<Model, Batch> {
  return jit(
    (model, optimizer, average, batch, lossScale) => {
      const { value, gradients } = lossAndGradients(loss, model, batch, lossScale)
      return applyGradients({ model, optimizer, average, lossScale }, value, gradients, options)
    },
    { name: 'trainingStep', policy: options.policy },
  )
}

/** What a step changes. */
interface TrainingState {
  readonly model: Module
  readonly optimizer: Optimizer
  readonly average: ExponentialMovingAverage | undefined
  readonly lossScale: LossScale | undefined
}

/** Several batches for one update: a program that runs for each of them, and one that makes the update. */
export function accumulatingStep<Model extends Module, Batch>(
  loss: BatchLoss<Model, Batch>,
  options: TrainingStepOptions = {},
): (state: TrainingState & { readonly model: Model }, sums: GradientAccumulator, batches: readonly Batch[]) => Tensor {
  const add = jit(
    (model: Model, sums: GradientAccumulator, batch: Batch, lossScale: LossScale | undefined) => {
      const { value, gradients } = lossAndGradients(loss, model, batch, lossScale)
      sums.add(gradients)
      return value
    },
    { name: 'accumulateGradients', policy: options.policy },
  )
  const update = jit(
    (state: TrainingState, sums: GradientAccumulator, losses: readonly Tensor[]) =>
      applyGradients(state, stack(losses).mean(), sums.take(), options),
    { name: 'applyGradients', policy: options.policy },
  )
  return (state, sums, batches) => {
    const losses = batches.map((batch) => add(state.model, sums, batch, state.lossScale))
    const figures = update(state, sums, losses)
    for (const value of losses) value.dispose()
    return figures
  }
}

/** The loss, f32, and gradients that are larger by the loss scale, if there is one. */
function lossAndGradients<Model extends Module, Batch>(
  loss: BatchLoss<Model, Batch>,
  model: Model,
  batch: Batch,
  lossScale: LossScale | undefined,
): { value: Tensor; gradients: Record<string, Tensor> } {
  const { result, gradients } = valueAndGradWith(model.parameters(), () => {
    const value = loss(model, batch)
    return { loss: lossScale ? lossScale.scaled(value) : value, value }
  })
  return { value: result.value.reshape([]).cast('f32'), gradients }
}

function applyGradients(
  { model, optimizer, average, lossScale }: TrainingState,
  loss: Tensor,
  scaled: Record<string, Tensor>,
  { maximumGradientNorm }: TrainingStepOptions,
): Tensor {
  const { gradients, finite } = lossScale?.unscale(scaled) ?? { gradients: scaled, finite: undefined }
  const scale = lossScale?.scale ?? full([], 1)
  const clipped =
    maximumGradientNorm === undefined
      ? { gradients, norm: globalNorm(gradients) }
      : clipByGlobalNorm(gradients, maximumGradientNorm)
  const { learningRate } = optimizer.update(model, clipped.gradients, finite ? { apply: finite } : {})
  if (finite) lossScale!.update(finite)
  average?.update(model)
  const norm = finite ? where(finite, clipped.norm, 0) : clipped.norm
  const applied = finite ? finite.cast('f32') : full([], 1)
  return stack([loss, norm, learningRate.cast('f32'), applied, scale])
}

/** The loss of a batch as a program, for evaluation. */
export function evaluationStep<Model extends Module, Batch>(
  loss: BatchLoss<Model, Batch>,
): Jitted<[model: Model, batch: Batch], Tensor> {
  return jit((model: Model, batch: Batch) => loss(model, batch), { name: 'evaluationStep' })
}
