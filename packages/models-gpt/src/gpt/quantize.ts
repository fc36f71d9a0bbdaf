import { quantize, type WeightRounding } from '@tessera/nn'
import type { Gpt } from './model.ts'

/** Formats of weights for generation, and how the linear layers of the blocks are rounded. */
export const weightFormats: Readonly<Record<'f32' | 'f16' | 'bf16' | 'int8' | 'int4', WeightRounding | undefined>> = {
  f32: undefined,
  f16: { format: 'f16' },
  bf16: { format: 'bf16' },
  int8: { bits: 8 },
  int4: { bits: 4 },
}
export type WeightFormat = keyof typeof weightFormats

/**
 * A copy of a model whose weights are rounded for generation. With `int8` every output of a linear layer has a scale of its own; with `int4`
 * every 32 weights. Token embeddings, which are the output layer too, take 8 bits in both, positions stay as they are. `f16` and `bf16` store
 * all of these as 16-bit floats; products read them as they are stored and compute in f32.
 *
 * @throws ShapeError for `int4` if the width of the model is not a multiple of 32
 * @example
 * ```ts
 * import { randomKey, tensor } from '@tessera/core'
 * import { Gpt, gptConfiguration, quantizeGpt } from '@tessera/models-gpt'
 * const model = new Gpt(gptConfiguration({ layers: 1, heads: 2, width: 32, blockSize: 8, vocabularySize: 10 }), randomKey(0))
 * const small = quantizeGpt(model, 'int4')
 * console.log(small.forward(tensor(new Int32Array([1, 2]), [1, 2])).shape) // [1, 2, 10]
 * ```
 */
export function quantizeGpt(model: Gpt, format: Exclude<WeightFormat, 'f32'>): Gpt {
  return quantize(model, (path) => {
    if (path === 'positionEmbedding') return undefined
    const rounding = weightFormats[format]
    return path === 'tokenEmbedding' && rounding && 'bits' in rounding ? { bits: 8 } : rounding
  })
}
