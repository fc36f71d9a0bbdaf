import { TesseraError } from '@tessera/core'

/** How a token is chosen from the model's distribution. */
export interface SamplingOptions {
  /** Divides the logits; below 1 sharper, above 1 flatter, 0 always takes the likeliest token. 1 by default. */
  readonly temperature?: number
  /** Only the k likeliest tokens stay (Fan et al. 2018). */
  readonly topK?: number
  /** Only the likeliest tokens stay that together have probability p at least (Holtzman et al. 2019). */
  readonly topP?: number
}

/**
 * Chooses a token.
 *
 * The order is temperature, top-k, top-p, as in the usual programs: top-p is taken of what top-k left.
 *
 * @param logits of one position, `[vocabulary]`
 * @param uniform random number on [0, 1)
 * @throws TesseraError `SAMPLING_OPTIONS` for an option out of range, `LOGITS_NOT_FINITE` when a logit is NaN or ∞
 */
export function sampleToken(logits: ArrayLike<number>, options: SamplingOptions, uniform: number): number {
  checkSamplingOptions(options)
  const { temperature = 1, topK = logits.length, topP = 1 } = options
  const best = likeliest(logits)
  if (temperature === 0 || topK === 1) return best
  const highest = logits[best]!
  const weight = (token: number) => Math.exp((logits[token]! - highest) / temperature)
  if (topK >= logits.length && topP === 1)
    return pick(
      Array.from(logits, (_, token) => token),
      weight,
      uniform,
    )
  // Likeliest first; of equal ones the first, so that the choice does not depend on the sorting.
  const order = Array.from(logits, (_, token) => token).sort((a, b) => logits[b]! - logits[a]! || a - b)
  const kept = order.slice(0, topK)
  return pick(nucleus(kept, weight, topP), weight, uniform)
}

/** Checks sampling options without sampling. */
export function checkSamplingOptions({ temperature = 1, topK = 1, topP = 1 }: SamplingOptions): void {
  if (!(temperature >= 0 && temperature < Number.POSITIVE_INFINITY)) {
    fail(
      `temperature must be a number from 0 up, got ${temperature}. 0 takes the likeliest token, 1 leaves the model's distribution.`,
    )
  }
  if (!Number.isInteger(topK) || topK < 1)
    fail(`top-k must be a whole number from 1 up, got ${topK}. Leave it out to keep all tokens.`)
  if (!(topP > 0 && topP <= 1))
    fail(`top-p must be above 0 and at most 1, got ${topP}. Leave it out to keep all tokens.`)
}

function likeliest(logits: ArrayLike<number>): number {
  let best = 0
  for (let token = 0; token < logits.length; token++) {
    if (!Number.isFinite(logits[token])) {
      throw new TesseraError(
        'LOGITS_NOT_FINITE',
        `sampleToken: the logit of token ${token} is ${logits[token]}, so the model's weights are damaged or its training diverged. ` +
          'Take an earlier checkpoint, or train again with a lower learning rate.',
      )
    }
    if (logits[token]! > logits[best]!) best = token
  }
  return best
}

/** The shortest beginning of `tokens` with probability `p` at least, among these tokens. */
function nucleus(tokens: readonly number[], weight: (token: number) => number, p: number): readonly number[] {
  const total = tokens.reduce((sum, token) => sum + weight(token), 0)
  let sum = 0
  const count = tokens.findIndex((token) => {
    sum += weight(token)
    return sum >= p * total
  })
  return count < 0 ? tokens : tokens.slice(0, count + 1)
}

function pick(tokens: readonly number[], weight: (token: number) => number, uniform: number): number {
  let left = uniform * tokens.reduce((sum, token) => sum + weight(token), 0)
  for (const token of tokens) {
    left -= weight(token)
    if (left < 0) return token
  }
  // Rounding may leave a remainder: it belongs to the last token that can occur.
  return tokens.findLast((token) => weight(token) > 0)!
}

function fail(reason: string): never {
  throw new TesseraError('SAMPLING_OPTIONS', `sampling: ${reason}`)
}
