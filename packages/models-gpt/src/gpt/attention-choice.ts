import { TesseraError } from '@tessera/core'
import { banded, dense, fitted, fixedHeads, patternWork, strided } from '@tessera/kernel-sparse-attention'
import { type GptConfiguration, headPatterns, type LayerAttention } from './configuration.ts'

/** What `parseAttention` reads, for messages and help. */
export const attentionChoices = 'dense, banded[:WIDTH], alternating[:WIDTH], strided[:STRIDE] or fixed[:BLOCK[:CELLS]]'

/** Attention as it is written in a word, such as `fixed:128:8`: a kind, and up to two numbers. */
export interface AttentionChoice {
  readonly kind: 'dense' | 'banded' | 'alternating' | 'strided' | 'fixed'
  readonly sizes: readonly number[]
}

const mostSizes = { dense: 0, banded: 1, alternating: 1, strided: 1, fixed: 2 } as const

/**
 * Reads attention as command lines take it.
 *
 * @throws TesseraError `ATTENTION_CHOICE` that says what is expected
 *
 * @example
 * ```ts
 * import { attentionLayers, parseAttention } from '@tessera/models-gpt'
 * console.log(attentionLayers(parseAttention('banded:8'), 64, 2)[0]) // { kind: 'local', window: 8 }
 * ```
 */
export function parseAttention(text: string): AttentionChoice {
  const [kind, ...rest] = text.split(':')
  const sizes = rest.map(Number)
  const most = Object.hasOwn(mostSizes, kind!) ? mostSizes[kind as AttentionChoice['kind']] : -1
  if (rest.length > most || !sizes.every((size) => Number.isSafeInteger(size) && size > 0))
    throw new TesseraError('ATTENTION_CHOICE', `Expected ${attentionChoices}, with whole numbers from 1 up.`)
  return { kind: kind as AttentionChoice['kind'], sizes }
}

/**
 * The patterns that layers take in turn. `alternating` is GPT-3's: dense, then banded.
 *
 * @param length of the sequence
 * @param period for sizes that are not given; by default the power of 2 next to the root of the length (Child et al. 2019, section 4.2)
 */
export function attentionLayers(
  { kind, sizes }: AttentionChoice,
  length: number,
  heads: number,
  period = Math.min(length, 2 ** Math.round(Math.log2(length) / 2)),
): LayerAttention[] {
  const size = sizes[0] ?? period
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

/** How many scores attention has in all layers and heads for one sequence, and how many dense attention would have. */
export function attentionScores(
  { layers, heads, attention }: Pick<GptConfiguration, 'layers' | 'heads' | 'attention'>,
  length: number,
): { readonly scores: number; readonly denseScores: number } {
  let scores = 0
  for (let layer = 0; layer < layers; layer++) {
    const patterns = headPatterns(attention[layer % attention.length]!)
    const counts = patterns.map((pattern) => patternWork(fitted(pattern, length), length).pairs)
    scores += (counts.reduce((sum, count) => sum + count, 0) / counts.length) * heads
  }
  return { scores, denseScores: (layers * heads * length * (length + 1)) / 2 }
}
