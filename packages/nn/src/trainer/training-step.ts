import { type Jitted, jit, stack, type Tensor, valueAndGrad } from '@tessera/core'
import type { ExponentialMovingAverage } from '../averaging/exponential-moving-average.ts'
import { clipByGlobalNorm, globalNorm } from '../gradients/clip.ts'
import type { Module } from '../modules/module.ts'
import type { Optimizer } from '../optimizers/optimizer.ts'

/** The loss of a batch: a scalar. Recorded once, inside of `jit`. */
export type BatchLoss<Model extends Module, Batch> = (model: Model, batch: Batch) => Tensor

/** One compiled step; gives loss, gradient norm and learning rate as f32[3]. */
export type TrainingStep<Model extends Module, Batch> = Jitted<
  [model: Model, optimizer: Optimizer, average: ExponentialMovingAverage | undefined, batch: Batch],
  Tensor
>

export interface TrainingStepOptions {
  /** Gradients are scaled down to this global norm; not at all by default. */
  readonly maximumGradientNorm?: number | undefined
}

/**
 * The whole of a training step as one program: loss, gradients of the trainable parameters, clipping, update, average.
 * Put the model into the mode that is wanted before the call: `train()` and `eval()` make programs of their own.
 */
export function trainingStep<Model extends Module, Batch>(
  loss: BatchLoss<Model, Batch>,
  { maximumGradientNorm }: TrainingStepOptions = {},
): TrainingStep<Model, Batch> {
  return jit(
    (model: Model, optimizer: Optimizer, average: ExponentialMovingAverage | undefined, batch: Batch) => {
      const { value, gradients } = valueAndGrad(model.parameters(), () => loss(model, batch))
      const clipped =
        maximumGradientNorm === undefined
          ? { gradients, norm: globalNorm(gradients) }
          : clipByGlobalNorm(gradients, maximumGradientNorm)
      const { learningRate } = optimizer.update(model, clipped.gradients)
      average?.update(model)
      return stack([value.reshape([]).cast('f32'), clipped.norm, learningRate.cast('f32')])
    },
    { name: 'trainingStep' },
  )
}

/** The loss of a batch as a program, for evaluation. */
export function evaluationStep<Model extends Module, Batch>(
  loss: BatchLoss<Model, Batch>,
): Jitted<[model: Model, batch: Batch], Tensor> {
  return jit((model: Model, batch: Batch) => loss(model, batch), { name: 'evaluationStep' })
}
