import { positionExtents, type SparseTransformerConfiguration } from './configuration.ts'

/**
 * Number of parameters of a Sparse Transformer, counted from its sizes: works for models of any size.
 *
 * @example
 * ```ts
 * import { countSparseTransformerParameters, sparseTransformerPreset } from '@tessera/models-gpt'
 * console.log(countSparseTransformerParameters(sparseTransformerPreset('enwik8'))) // 94950144
 * ```
 */
export function countSparseTransformerParameters(configuration: SparseTransformerConfiguration): number {
  const { layers, heads, width, keyWidth, feedForwardWidth, vocabularySize } = configuration
  const linear = (inputs: number, outputs: number) => (inputs + 1) * outputs
  const norm = 2 * width
  const block =
    2 * norm +
    linear(width, 2 * heads * keyWidth + width) +
    linear(width, width) +
    linear(width, feedForwardWidth) +
    linear(feedForwardWidth, width)
  // The start, the positions, and the elements.
  const embeddings = positionExtents(configuration).reduce((sum, extent) => sum + extent, 1 + vocabularySize) * width
  return layers * block + norm + embeddings + linear(width, vocabularySize)
}
