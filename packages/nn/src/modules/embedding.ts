import type { Tensor } from '@tessera/core'
import { type Initializer, normal } from '../initializers/initializers.ts'
import { checkExtents } from './check.ts'
import { type Layer, Module } from './module.ts'

export interface EmbeddingOptions {
  /** Random key of the first weights. */
  readonly key: Tensor
  /** First weights; by default normal with deviation 1, as in PyTorch. GPT-2 uses `normal(0.02)`. */
  readonly initializer?: Initializer
}

/**
 * A vector for each of `count` indices.
 *
 * @example
 * ```ts
 * import { randomKey, tensor } from '@tessera/core'
 * import { Embedding } from '@tessera/nn'
 * const tokens = tensor(new Int32Array([3, 1, 4]))
 * console.log(new Embedding(10, 8, { key: randomKey(0) }).forward(tokens).shape) // [3, 8]
 * ```
 */
export class Embedding extends Module implements Layer {
  /** `[count, channels]` */
  weight: Tensor

  constructor(count: number, channels: number, options: EmbeddingOptions) {
    super()
    checkExtents('Embedding', { count, channels })
    this.weight = (options.initializer ?? normal(1))(options.key, [count, channels])
  }

  /**
   * An index outside of 0 to count − 1 takes the nearest row: a program on a device cannot raise errors, so check indices
   * where they are made.
   *
   * @param indices `[...]`, i32 or u32
   * @returns `[..., channels]`
   */
  forward(indices: Tensor): Tensor {
    return this.weight.gather(indices, 0)
  }

  /**
   * The product with every vector of the table: logits from an output layer that is tied to the embedding (Press & Wolf 2017).
   *
   * @param x `[..., channels]`
   * @returns `[..., count]`
   */
  attend(x: Tensor): Tensor {
    return x.matmul(this.weight.transpose())
  }
}
