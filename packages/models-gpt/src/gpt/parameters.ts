import type { GptConfiguration } from './configuration.ts'

/**
 * Shape of every parameter of a model, by its name in the model's tree and in that order, without making any. The output
 * embedding is the token embedding, so it does not appear twice. Matrices of linear layers are `[in, out]`.
 */
export function gptParameterShapes(configuration: GptConfiguration): Map<string, readonly number[]> {
  const { layers, heads, headWidth, width, blockSize, vocabularySize, biases, feedForwardRatio } = configuration
  const attentionWidth = heads * headWidth
  const feedForwardWidth = width * feedForwardRatio
  const shapes = new Map<string, readonly number[]>()
  const linear = (name: string, inputs: number, outputs: number) => {
    shapes.set(`${name}.weight`, [inputs, outputs])
    if (biases) shapes.set(`${name}.bias`, [outputs])
  }
  const norm = (name: string) => {
    shapes.set(`${name}.gain`, [width])
    if (biases) shapes.set(`${name}.bias`, [width])
  }
  shapes.set('tokenEmbedding.weight', [vocabularySize, width])
  shapes.set('positionEmbedding.weight', [blockSize, width])
  for (let layer = 0; layer < layers; layer++) {
    const block = `blocks.${layer}`
    norm(`${block}.attentionNorm`)
    linear(`${block}.attention.queryKeyValue`, width, 3 * attentionWidth)
    linear(`${block}.attention.projection`, attentionWidth, width)
    norm(`${block}.feedForwardNorm`)
    linear(`${block}.feedForward.expansion`, width, feedForwardWidth)
    linear(`${block}.feedForward.projection`, feedForwardWidth, width)
  }
  norm('finalNorm')
  return shapes
}

/**
 * Number of parameters of a model, counted from shapes: works for models of any size.
 *
 * @example
 * ```ts
 * import { countParameters, gptPreset } from '@tessera/models-gpt'
 * console.log(countParameters(gptPreset('gpt2'))) // 124439808
 * ```
 */
export function countParameters(configuration: GptConfiguration): number {
  let count = 0
  for (const shape of gptParameterShapes(configuration).values())
    count += shape.reduce((size, extent) => size * extent, 1)
  return count
}
