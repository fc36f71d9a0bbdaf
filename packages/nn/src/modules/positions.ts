import { concatenate, range, type Tensor, TesseraError } from '@tessera/core'
import { normal } from '../initializers/initializers.ts'
import { checkExtents } from './check.ts'
import { Embedding, type EmbeddingOptions } from './embedding.ts'
import { type Layer, Module } from './module.ts'

/**
 * A learned vector for each position, added to `[..., time, channels]`.
 *
 * @example
 * ```ts
 * import { randomKey, zeros } from '@tessera/core'
 * import { LearnedPositions } from '@tessera/nn'
 * const positions = new LearnedPositions(16, 8, { key: randomKey(0) })
 * console.log(positions.forward(zeros([2, 10, 8])).shape) // [2, 10, 8]
 * ```
 */
export class LearnedPositions extends Module implements Layer {
  /** `[length, channels]` */
  readonly table: Embedding

  /** @param length the longest input */
  constructor(length: number, channels: number, options: EmbeddingOptions) {
    super()
    this.table = new Embedding(length, channels, { initializer: normal(0.02), ...options })
  }

  /**
   * @param x `[..., time, channels]`
   * @param offset position of the first element, an i32 scalar; 0 by default
   */
  forward(x: Tensor, offset?: Tensor): Tensor {
    const time = x.shape.at(-2) ?? 0
    const length = this.table.weight.shape[0]!
    if (time > length) {
      throw new TesseraError(
        'MODULE_INPUT',
        `LearnedPositions: there are ${length} positions, ${x} has ${time}. Cut the input, or make a longer table.`,
      )
    }
    const places = offset ? range(time).add(offset) : range(time)
    return x.add(this.table.forward(places))
  }
}

/** `base^(−2i / channels)` for i from 0 to channels / 2 − 1, f32. */
function frequencies(channels: number, base: number): Tensor {
  return range(channels / 2)
    .cast('f32')
    .multiply((-2 * Math.log(base)) / channels)
    .exp()
}

function checkEven(name: string, channels: number): void {
  checkExtents(name, { channels })
  if (channels % 2 !== 0)
    throw new TesseraError('MODULE_CONFIGURATION', `${name}: channels must be even, got ${channels}.`)
}

/** Angles of positions: `[time, channels / 2]`. */
function angles(time: number, channels: number, base: number, offset: Tensor | undefined): Tensor {
  const places = offset ? range(time).add(offset) : range(time)
  return places.cast('f32').unsqueeze(1).multiply(frequencies(channels, base))
}

/**
 * Sines and cosines of positions (Vaswani et al. 2017, section 3.5): channel 2i is `sin(p / 10000^(2i / channels))`, channel 2i + 1
 * the cosine of the same angle.
 *
 * @param offset position of the first element, an i32 scalar; 0 by default
 * @returns `[time, channels]`, f32
 */
export function sinusoidalPositions(time: number, channels: number, offset?: Tensor): Tensor {
  checkEven('sinusoidalPositions', channels)
  const angle = angles(time, channels, 10_000, offset).unsqueeze(-1)
  return concatenate([angle.sin(), angle.cos()], -1).reshape([time, channels])
}

export interface RotaryOptions {
  /** θ; 10,000 by default. */
  readonly base?: number
  /**
   * Which channels turn together: `halves`, i with i + channels / 2, as in Llama's files of Hugging Face (the default); `pairs`, 2i with 2i + 1, as in
   * the paper.
   */
  readonly layout?: 'halves' | 'pairs'
}

/**
 * Rotary positions (Su et al. 2021, formula 34): queries and keys are turned by angles that grow with their position, so that their
 * products depend on distances alone.
 *
 * @example
 * ```ts
 * import { ones } from '@tessera/core'
 * import { RotaryPositions } from '@tessera/nn'
 * const rotary = new RotaryPositions(64)
 * console.log(rotary.forward(ones([2, 8, 10, 64])).shape) // [2, 8, 10, 64]
 * ```
 */
export class RotaryPositions extends Module {
  readonly channels: number
  readonly base: number
  readonly layout: 'halves' | 'pairs'

  /** @param channels of one head */
  constructor(channels: number, { base = 10_000, layout = 'halves' }: RotaryOptions = {}) {
    super()
    checkEven('RotaryPositions', channels)
    this.channels = channels
    this.base = base
    this.layout = layout
  }

  /**
   * @param x `[..., time, channels]`
   * @param offset position of the first element, an i32 scalar; 0 by default
   */
  forward(x: Tensor, offset?: Tensor): Tensor {
    const { channels, base, layout } = this
    const time = x.shape.at(-2) ?? 0
    if (x.shape.at(-1) !== channels) {
      throw new TesseraError('MODULE_INPUT', `RotaryPositions: takes [..., time, ${channels}], got ${x}.`)
    }
    const angle = angles(time, channels, base, offset)
    const [cosine, sine] = [angle.cos().cast(x.dtype), angle.sin().cast(x.dtype)]
    const half = channels / 2
    const rows = x.shape.slice(0, -1)
    if (layout === 'halves') {
      const [a, b] = x.split(2, -1) as [Tensor, Tensor]
      return concatenate(turn(a, b, cosine, sine), -1)
    }
    const pairs = x.reshape([...rows, half, 2])
    const [a, b] = [pairs.select(-1, 0), pairs.select(-1, 1)]
    return concatenate(
      turn(a, b, cosine, sine).map((part) => part.unsqueeze(-1)),
      -1,
    ).reshape(x.shape)
  }
}

function turn(a: Tensor, b: Tensor, cosine: Tensor, sine: Tensor): [Tensor, Tensor] {
  return [a.multiply(cosine).subtract(b.multiply(sine)), a.multiply(sine).add(b.multiply(cosine))]
}
