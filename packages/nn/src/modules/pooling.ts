import {
  type AveragePoolOptions,
  adaptiveAveragePool1d,
  adaptiveAveragePool2d,
  adaptiveAveragePool3d,
  averagePool1d,
  averagePool2d,
  averagePool3d,
  type MaxPoolOptions,
  maxPool1d,
  maxPool2d,
  maxPool3d,
  type PerAxis,
  type ResizeOptions,
  resize,
  ShapeError,
  type Tensor,
} from '@tessera/core'
import { type Layer, Module } from './module.ts'

/** The op for the spatial axes of `[batch, channels, ...spatial]`. */
function byRank<Op>(name: string, ops: readonly [Op, Op, Op], x: Tensor): Op {
  const op = ops[x.rank - 3]
  if (op) return op
  throw new ShapeError(`${name}: takes [batch, channels, ...spatial] with one to three spatial axes, got ${x}.`)
}

/** The largest element of each window: `[batch, channels, ...spatial]`, with one to three spatial axes. */
export class MaxPool extends Module implements Layer {
  readonly window: PerAxis
  readonly options: MaxPoolOptions

  constructor(window: PerAxis, options: MaxPoolOptions = {}) {
    super()
    this.window = window
    this.options = options
  }

  forward(x: Tensor): Tensor {
    return byRank('MaxPool', [maxPool1d, maxPool2d, maxPool3d], x)(x, this.window, this.options)
  }
}

/** The mean of each window: `[batch, channels, ...spatial]`, with one to three spatial axes. */
export class AveragePool extends Module implements Layer {
  readonly window: PerAxis
  readonly options: AveragePoolOptions

  constructor(window: PerAxis, options: AveragePoolOptions = {}) {
    super()
    this.window = window
    this.options = options
  }

  forward(x: Tensor): Tensor {
    return byRank('AveragePool', [averagePool1d, averagePool2d, averagePool3d], x)(x, this.window, this.options)
  }
}

/** Means over windows chosen so that the result has a given size, whatever the input's. */
export class AdaptiveAveragePool extends Module implements Layer {
  readonly size: PerAxis

  constructor(size: PerAxis) {
    super()
    this.size = size
  }

  forward(x: Tensor): Tensor {
    const ops = [adaptiveAveragePool1d, adaptiveAveragePool2d, adaptiveAveragePool3d] as const
    return byRank('AdaptiveAveragePool', ops, x)(x, this.size)
  }
}

/** The mean of each channel: `[batch, channels, ...spatial] → [batch, channels]`. */
export class GlobalAveragePool extends Module implements Layer {
  forward(x: Tensor): Tensor {
    return x.flatten(2).mean(-1)
  }
}

/** Enlarges the spatial axes of `[batch, channels, ...spatial]` by whole factors. */
export class Upsample extends Module implements Layer {
  readonly factor: number
  readonly options: ResizeOptions

  constructor(factor: number, options: ResizeOptions = {}) {
    super()
    this.factor = factor
    this.options = options
  }

  forward(x: Tensor): Tensor {
    return resize(
      x,
      x.shape.slice(2).map((extent) => extent * this.factor),
      this.options,
    )
  }
}
