import { dequantize, type QuantizedMatrix, quantizedMatmul, quantizeMatrix, type Tensor } from '@tessera/core'
import { type Activation, activate } from '../modules/activations.ts'
import type { Embedding } from '../modules/embedding.ts'
import type { Linear } from '../modules/linear.ts'
import { type Layer, Module } from '../modules/module.ts'

/** How the weights of a layer are rounded: see `quantizeMatrix`. */
export interface QuantizationOptions {
  readonly bits: 8 | 4
  /** Weights of one output that share a scale; by default all for 8 bits, 32 for 4 bits. */
  readonly block?: number
}

/** A matrix of small integers in a module, for use but not for training. */
abstract class QuantizedModule extends Module implements QuantizedMatrix {
  readonly bits: 8 | 4
  readonly block: number
  values: Tensor
  scales: Tensor

  /** @param weight one row for each output */
  constructor(weight: Tensor, options: QuantizationOptions) {
    super()
    const { bits, block, values, scales } = quantizeMatrix(weight, options)
    this.bits = bits
    this.block = block
    // At once, so that the original weights need not stay.
    this.values = values.realize()
    this.scales = scales.realize()
  }

  override bufferNames(): readonly string[] {
    return ['scales']
  }
}

/**
 * A linear layer whose weights are rounded to int8 or 4 bits, for inference: it reads a quarter or an eighth of the memory that f32 weights
 * take, which is what decoding waits for.
 *
 * @example
 * ```ts
 * import { ones, randomKey } from '@tessera/core'
 * import { Linear, QuantizedLinear } from '@tessera/nn'
 * const layer = new QuantizedLinear(new Linear(32, 5, { key: randomKey(0) }), { bits: 4 })
 * console.log(layer.forward(ones([2, 32])).shape) // [2, 5]
 * ```
 */
export class QuantizedLinear extends QuantizedModule implements Layer {
  /** `[outputs]` */
  bias: Tensor | undefined
  readonly activation: Activation | undefined

  constructor(linear: Linear, options: QuantizationOptions) {
    super(linear.weight.transpose(), options)
    this.bias = linear.bias
    this.activation = linear.activation
  }

  override bufferNames(): readonly string[] {
    return [...super.bufferNames(), 'bias']
  }

  /**
   * @param x `[..., inputs]`
   * @returns `[..., outputs]`
   */
  forward(x: Tensor): Tensor {
    const product = quantizedMatmul(x, this)
    const sum = this.bias ? product.add(this.bias) : product
    return this.activation ? activate(sum, this.activation) : sum
  }
}

/** Weights stored as 16-bit floats. */
export interface HalfOptions {
  readonly format: 'f16' | 'bf16'
}

/** A linear layer whose weights are 16-bit floats. Products with inputs of f32 are computed in f32 from the weights as they are stored. */
export function halvedLinear(linear: Linear, { format }: HalfOptions): Linear {
  const copy = Object.create(Object.getPrototypeOf(linear) as object) as Linear
  // Rounded at once, so that the original weights need not stay.
  return Object.assign(copy, linear, { weight: linear.weight.cast(format).realize() })
}

/** An embedding whose vectors are stored as 16-bit floats, and given as f32. */
export class HalfEmbedding extends Module implements Layer {
  /** `[count, channels]`, f16 or bf16 */
  weight: Tensor

  constructor(embedding: Embedding, { format }: HalfOptions) {
    super()
    this.weight = embedding.weight.cast(format).realize()
  }

  /**
   * @param indices `[...]`, i32 or u32
   * @returns `[..., channels]`
   */
  forward(indices: Tensor): Tensor {
    return this.weight.gather(indices, 0).cast('f32')
  }

  /** The product with every vector of the table, as `Embedding.attend`. */
  attend(x: Tensor): Tensor {
    return x.matmul(this.weight.transpose())
  }
}

/** An embedding whose vectors are rounded to int8 or 4 bits. */
export class QuantizedEmbedding extends QuantizedModule implements Layer {
  constructor(embedding: Embedding, options: QuantizationOptions) {
    super(embedding.weight, options)
  }

  /**
   * @param indices `[...]`, i32 or u32
   * @returns `[..., channels]`
   */
  forward(indices: Tensor): Tensor {
    const { bits, block, values, scales } = this
    const flat = indices.flatten()
    const rows = dequantize({ bits, block, values: values.gather(flat, 0), scales: scales.gather(flat, 0) })
    return rows.reshape([...indices.shape, rows.shape[1]!])
  }

  /**
   * The product with every vector of the table, as `Embedding.attend`.
   *
   * @param x `[..., channels]`
   * @returns `[..., count]`
   */
  attend(x: Tensor): Tensor {
    return quantizedMatmul(x, this)
  }
}
