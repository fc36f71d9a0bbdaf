import type { Runtime } from '@tessera/core'
import {
  banded,
  dense,
  fitted,
  fixedHeads,
  patternWork,
  type SparsePattern,
  strided,
} from '@tessera/kernel-sparse-attention'
import { type GptConfiguration, headPatterns, type LayerAttention } from '@tessera/models-gpt'

/** What `--attention` takes, for messages and help. */
export const attentionChoices = 'dense, banded[:WIDTH], alternating[:WIDTH], strided[:STRIDE] or fixed[:BLOCK[:CELLS]]'

/** What `--attention` says: a kind, and up to two numbers. */
export interface AttentionChoice {
  readonly kind: 'dense' | 'banded' | 'alternating' | 'strided' | 'fixed'
  readonly sizes: readonly number[]
}

const mostSizes = { dense: 0, banded: 1, alternating: 1, strided: 1, fixed: 2 } as const

/**
 * Reads `fixed:128:8`.
 *
 * @throws Error that says what is expected
 */
export function attentionChoice(text: string): AttentionChoice {
  const [kind, ...rest] = text.split(':')
  const sizes = rest.map(Number)
  const most = Object.hasOwn(mostSizes, kind!) ? mostSizes[kind as AttentionChoice['kind']] : -1
  if (rest.length > most || !sizes.every((size) => Number.isSafeInteger(size) && size > 0))
    throw new Error(`Expected ${attentionChoices}, with whole numbers from 1 up.`)
  return { kind: kind as AttentionChoice['kind'], sizes }
}

/** The patterns of the layers; sizes that are not given come from the length of the text (Child et al. 2019, section 4.2: l near √n). */
export function attentionLayers({ kind, sizes }: AttentionChoice, block: number, heads: number): LayerAttention[] {
  const root = Math.min(block, 2 ** Math.round(Math.log2(block) / 2))
  const size = sizes[0] ?? root
  switch (kind) {
    case 'dense':
      return [dense()]
    case 'banded':
      return [banded(size)]
    case 'alternating':
      return [dense(), banded(size)]
    case 'strided':
      return [strided(size)]
    case 'fixed':
      return [fixedHeads(size, sizes[1] ?? Math.max(1, Math.floor(size / 16)), heads)]
  }
}

/** What a model's attention costs beside a dense one. */
export interface AttentionCost {
  /** Scores of one sequence in all layers and heads. */
  readonly scores: number
  readonly denseScores: number
  /** Bytes that the scores of one step would take where they are stored. */
  readonly denseScoreBytes: number
}

export function attentionCost({ layers, heads, blockSize, attention }: GptConfiguration, batch: number): AttentionCost {
  let scores = 0
  for (let layer = 0; layer < layers; layer++) {
    const patterns = headPatterns(attention[layer % attention.length]!)
    const counts = patterns.map((pattern) => patternWork(fitted(pattern, blockSize), blockSize).pairs)
    scores += (counts.reduce((sum, count) => sum + count, 0) / counts.length) * heads
  }
  const denseScores = (layers * heads * blockSize * (blockSize + 1)) / 2
  return { scores, denseScores, denseScoreBytes: 4 * batch * layers * heads * blockSize ** 2 }
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
