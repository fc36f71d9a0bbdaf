import { Tensor } from '@tessera/core'
import { Embedding } from '../modules/embedding.ts'
import { Linear } from '../modules/linear.ts'
import { Module } from '../modules/module.ts'
import { type QuantizationOptions, QuantizedEmbedding, QuantizedLinear } from './layers.ts'

/** How to round a layer at a path, such as `blocks.0.attention.projection`; `undefined` leaves it as it is. */
export type ChooseQuantization = (path: string, layer: Linear | Embedding) => QuantizationOptions | undefined

/**
 * A copy of a model for inference in which linear layers and embeddings are `QuantizedLinear` and `QuantizedEmbedding`. Everything else is
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
export function quantize<Model extends object>(model: Model, options: QuantizationOptions | ChooseQuantization): Model {
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
    const options = choose(path, value as Linear)
    return options && new QuantizedLinear(value as Linear, options)
  }
  if (value.constructor === Embedding) {
    const options = choose(path, value as Embedding)
    return options && new QuantizedEmbedding(value as Embedding, options)
  }
  return undefined
}
