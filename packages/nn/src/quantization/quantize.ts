import { Tensor } from '@tessera/core'
import { Embedding } from '../modules/embedding.ts'
import { Linear } from '../modules/linear.ts'
import { Module } from '../modules/module.ts'
import {
  HalfEmbedding,
  type HalfOptions,
  halvedLinear,
  type QuantizationOptions,
  QuantizedEmbedding,
  QuantizedLinear,
} from './layers.ts'

/** How the weights of a layer are rounded: to small integers with scales, or to 16-bit floats. */
export type WeightRounding = QuantizationOptions | HalfOptions

/** How to round a layer at a path, such as `blocks.0.attention.projection`; `undefined` leaves it as it is. */
export type ChooseQuantization = (path: string, layer: Linear | Embedding) => WeightRounding | undefined

/**
 * A copy of a model for inference whose linear layers and embeddings have rounded weights: with small integers they are `QuantizedLinear` and
 * `QuantizedEmbedding`, with 16-bit floats `Linear` and `HalfEmbedding`, whose products are computed in f32. Everything else is
 * shared with the model, which stays as it is. Subclasses of the two layers are not replaced.
 *
 * @param options how to round every layer, or a function that chooses for each
 * @throws ShapeError if a block does not divide the inputs of a layer
 * @example
 * ```ts
 * import { ones, randomKey } from '@tessera/core'
 * import { Mlp, quantize } from '@tessera/nn'
 * const model = new Mlp([32, 64, 4], { key: randomKey(0) })
 * const small = quantize(model, { bits: 8 })
 * const [a, b] = await Promise.all([model, small].map((each) => each.forward(ones([1, 32])).sum().item()))
 * console.log(Math.abs(a! - b!) < 0.05) // true
 * ```
 */
export function quantize<Model extends object>(model: Model, options: WeightRounding | ChooseQuantization): Model {
  const choose: ChooseQuantization = typeof options === 'function' ? options : () => options
  const copies = new Map<object, object>()
  const copyFields = (from: object, into: object, path: string): object => {
    copies.set(from, into)
    for (const [name, value] of Object.entries(from))
      Object.assign(into, { [name]: copy(value, path === '' ? name : `${path}.${name}`) })
    return into
  }
  const copy = (value: unknown, path: string): unknown => {
    if (typeof value !== 'object' || value === null || value instanceof Tensor) return value
    const known = copies.get(value)
    if (known) return known
    const replaced = replacement(value, path, choose)
    if (replaced) {
      copies.set(value, replaced)
      return replaced
    }
    const prototype = Object.getPrototypeOf(value) as object | null
    if (Array.isArray(value)) return copyFields(value, [], path)
    if (value instanceof Module || prototype === Object.prototype)
      return copyFields(value, Object.create(prototype), path)
    return value
  }
  return copy(model, '') as Model
}

function replacement(value: object, path: string, choose: ChooseQuantization): Module | undefined {
  if (value.constructor === Linear) {
    const linear = value as Linear
    const options = choose(path, linear)
    return options && ('format' in options ? halvedLinear(linear, options) : new QuantizedLinear(linear, options))
  }
  if (value.constructor === Embedding) {
    const embedding = value as Embedding
    const options = choose(path, embedding)
    return (
      options &&
      ('format' in options ? new HalfEmbedding(embedding, options) : new QuantizedEmbedding(embedding, options))
    )
  }
  return undefined
}
