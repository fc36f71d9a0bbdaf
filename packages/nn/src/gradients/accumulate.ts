import { namedTensors, type Tensor, TesseraError, zeros } from '@tessera/core'
import { parametersOf } from '../modules/module.ts'

/**
 * The mean of the gradients of several small batches, for an update as of one large batch that does not fit into memory.
 *
 * Its sums exist from the start, so `add` belongs into one compiled program that runs for every small batch, and `take` with
 * the optimizer's update into another.
 *
 * @example
 * ```ts
 * import { jit, randomKey, tensor, type Tensor, valueAndGrad } from '@tessera/core'
 * import { GradientAccumulator, Linear, meanSquaredError, Sgd } from '@tessera/nn'
 * const model = new Linear(1, 1, { key: randomKey(0) })
 * const optimizer = new Sgd(model, { learningRate: 0.1 })
 * const accumulator = new GradientAccumulator(model)
 * const add = jit((model: Linear, accumulator: GradientAccumulator, x: Tensor, y: Tensor) => {
 *   accumulator.add(valueAndGrad(model.parameters(), () => meanSquaredError(model.forward(x), y)).gradients)
 * })
 * const update = jit((model: Linear, accumulator: GradientAccumulator, optimizer: Sgd) => {
 *   optimizer.update(model, accumulator.take())
 * })
 * for (const x of [1, 2, 3, 4]) add(model, accumulator, tensor([[x]]), tensor([[2 * x]]))
 * update(model, accumulator, optimizer)
 * console.log(await accumulator.count.item(), await optimizer.step.item()) // 0 1
 * ```
 */
export class GradientAccumulator {
  /** Gradients added since the last `take`, i32. */
  count: Tensor = zeros([], 'i32')
  /** Sums by the parameters' paths, f32 or f64. */
  readonly sums: Record<string, Tensor>

  constructor(model: object) {
    this.sums = Object.fromEntries(
      parametersOf(model).map(({ name, tensor }) => [
        name,
        zeros(tensor.shape, tensor.dtype === 'f64' ? 'f64' : 'f32'),
      ]),
    )
  }

  /** @param gradients as `valueAndGrad` gives them for the model or for `model.parameters()` */
  add(gradients: object): void {
    const byName = namedTensors(gradients)
    for (const [name, sum] of Object.entries(this.sums)) {
      const gradient = byName.get(name)
      if (!gradient) {
        throw new TesseraError(
          'ACCUMULATOR_GRADIENTS',
          `No gradient was given for ${name}. Take gradients of model.parameters(), or of the whole model.`,
        )
      }
      this.sums[name] = sum.add(gradient.cast(sum.dtype))
    }
    this.count = this.count.add(1)
  }

  /** The mean of what was added, by path; zeros if nothing was. Starts again from nothing. */
  take(): Record<string, Tensor> {
    const count = this.count.maximum(1)
    const means = Object.fromEntries(
      Object.entries(this.sums).map(([name, sum]) => [name, sum.divide(count.cast(sum.dtype))]),
    )
    for (const [name, sum] of Object.entries(this.sums)) this.sums[name] = zeros(sum.shape, sum.dtype)
    this.count = zeros([], 'i32')
    return means
  }
}
