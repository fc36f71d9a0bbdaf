import { type Jitted, type Tensor, tensorsIn } from '@tessera/core'
import type { Module } from '../modules/module.ts'

export interface EvaluationOptions<Model extends Module, Batch> {
  /** Evaluates after each so many updates, and at the end. */
  readonly every: number
  /** Over how many batches the loss is averaged. */
  readonly batches: number
  /** Batch `index` of the validation data, from 0. Its tensors are freed after use; data from the host can be given again. */
  readonly batch: (index: number) => Batch | Promise<Batch>
  /** By default the loss that is trained. */
  readonly loss?: (model: Model, batch: Batch) => Tensor
}

/** Mean loss over the evaluation's batches, in inference mode; `undefined` when the signal came before the end. */
export async function evaluate<Model extends Module, Batch>(
  model: Model,
  step: Jitted<[model: Model, batch: Batch], Tensor>,
  { batches, batch }: Pick<EvaluationOptions<Model, Batch>, 'batches' | 'batch'>,
  signal?: AbortSignal,
): Promise<number | undefined> {
  const losses: Tensor[] = []
  const modes = model.modules().map((module) => [module, module.training] as const)
  model.eval()
  try {
    for (let index = 0; index < batches; index++) {
      if (signal?.aborted) return undefined
      const data = await batch(index)
      losses.push(step(model, data))
      for (const tensor of tensorsIn(data)) tensor.dispose()
    }
    let total = 0
    for (const loss of losses) total += await loss.item()
    return total / batches
  } finally {
    for (const loss of losses) loss.dispose()
    for (const [module, training] of modes) module.training = training
  }
}
