import type { Runtime } from '@tessera/core'
import type { SparsePattern } from '@tessera/kernel-sparse-attention'
import { attentionScores, type GptConfiguration, headPatterns } from '@tessera/models-gpt'

/** What a model's attention costs beside a dense one. */
export interface AttentionCost {
  /** Scores of one sequence in all layers and heads. */
  readonly scores: number
  readonly denseScores: number
  /** Bytes that the scores of one step would take where they are stored. */
  readonly denseScoreBytes: number
}

export function attentionCost(configuration: GptConfiguration, batch: number): AttentionCost {
  const { layers, heads, blockSize } = configuration
  return {
    ...attentionScores(configuration, blockSize),
    denseScoreBytes: 4 * batch * layers * heads * blockSize ** 2,
  }
}

export function isSparse({ attention }: GptConfiguration): boolean {
  return attention.some((layer) => headPatterns(layer).some(({ kind }) => kind !== 'dense'))
}

const describePattern = (pattern: SparsePattern): string =>
  pattern.kind === 'local'
    ? `banded ${pattern.window}`
    : pattern.kind === 'strided'
      ? `strided ${pattern.stride}`
      : pattern.kind === 'fixed'
        ? `fixed ${pattern.block} with ${pattern.summary} summary cells`
        : pattern.kind

/** A line for the beginning of a run. */
export function describeAttention(configuration: GptConfiguration, batch: number): string {
  const { scores, denseScores, denseScoreBytes } = attentionCost(configuration, batch)
  const kinds = configuration.attention.map((layer) => describePattern(headPatterns(layer)[0]!))
  return (
    `Attention: ${kinds.join(', then ')}: ${scores.toLocaleString('en')} scores a sequence, dense ${denseScores.toLocaleString('en')} ` +
    `(${(denseScores / scores).toFixed(1)} ×); a step that stored dense scores would take ${(denseScoreBytes / 2 ** 30).toFixed(2)} GiB for them`
  )
}

/** Milliseconds of a step with dense attention: what was measured, and the products of the further scores at the device's speed. */
export function estimateDenseStep(
  configuration: GptConfiguration,
  batch: number,
  measured: number,
  { device: { limits } }: Runtime,
): number {
  const { scores, denseScores } = attentionCost(configuration, batch)
  // Two products forward, and five backward with the scores computed again.
  const flops = 14 * configuration.headWidth * batch * (denseScores - scores)
  return measured + flops / (limits.gigaflops * 1e6)
}
