import { copy, type Tensor, TesseraError, zeros } from '@tessera/core'
import { parametersOf } from '../modules/module.ts'
import { replaceTensor } from '../modules/places.ts'

export interface AverageOptions {
  /** Part of the average that stays at each update, for example 0.999. */
  readonly decay: number
  /** Smaller decays at first, `min(decay, (1 + t) / (10 + t))` at update `t`, so that the first weights are soon forgotten. */
  readonly warmUp?: boolean
}

/**
 * An exponential moving average of a model's parameters: `average += (1 − decay) · (parameter − average)`.
 *
 * Its state exists from the start, as copies of the parameters; call `update` after the optimizer's inside of the same `jit`.
 */
export class ExponentialMovingAverage {
  readonly decay: number
  readonly warmUp: boolean
  /** Updates made so far, i32. */
  step: Tensor = zeros([], 'i32')
  /** Averages by the parameters' paths. */
  readonly averages: Record<string, Tensor>

  constructor(model: object, { decay, warmUp = false }: AverageOptions) {
    if (!(decay >= 0 && decay < 1)) {
      throw new TesseraError(
        'AVERAGE_OPTIONS',
        `ExponentialMovingAverage: the decay must be at least 0 and below 1, got ${decay}.`,
      )
    }
    this.decay = decay
    this.warmUp = warmUp
    // Copies, because the model's own tensors give their memory to the next step's.
    this.averages = Object.fromEntries(parametersOf(model).map(({ name, tensor }) => [name, copy(tensor)]))
  }

  update(model: object): void {
    this.step = this.step.add(1)
    const step = this.step.cast('f32')
    const rate = this.warmUp ? step.add(1).divide(step.add(10)).minimum(this.decay).multiply(-1).add(1) : 1 - this.decay
    for (const { name, tensor } of parametersOf(model)) {
      const average = this.#averageOf(name)
      this.averages[name] = average.add(tensor.subtract(average).multiply(rate).cast(average.dtype))
    }
  }

  /**
   * Runs a function, which may be `async`, with the averages in the place of the model's parameters, and puts those back.
   *
   * @example
   * ```ts sketch
   * const validationLoss = await average.within(model, () => evaluate(model))
   * ```
   */
  async within<Result>(model: object, body: () => Result | Promise<Result>): Promise<Result> {
    const parameters = parametersOf(model)
    for (const parameter of parameters) replaceTensor(parameter, this.#averageOf(parameter.name))
    try {
      return await body()
    } finally {
      for (const parameter of parameters) replaceTensor(parameter, parameter.tensor)
    }
  }

  #averageOf(name: string): Tensor {
    const average = this.averages[name]
    if (average) return average
    throw new TesseraError(
      'AVERAGE_PARAMETERS',
      `The model has a trainable tensor ${name} that the average was not made for. Make the average after the model is complete.`,
    )
  }
}
