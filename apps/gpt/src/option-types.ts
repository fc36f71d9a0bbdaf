import { type AttentionChoice, parseAttention } from '@tessera/models-gpt'
import { InvalidArgumentError } from 'commander'
import { type TokenizerChoice, tokenizerChoice } from './tokenizers.ts'

/** Makes a reader of numbers within bounds, for commander. */
function numberReader(expected: string, fits: (value: number) => boolean): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (text.trim() === '' || !fits(value)) throw new InvalidArgumentError(`Expected ${expected}.`)
    return value
  }
}

export const wholeNumber = numberReader('a whole number from 1 up', (x) => Number.isSafeInteger(x) && x >= 1)
export const wholeNumberFrom0 = numberReader('a whole number from 0 up', (x) => Number.isSafeInteger(x) && x >= 0)
export const positive = numberReader('a number above 0', (x) => x > 0 && Number.isFinite(x))
export const notNegative = numberReader('a number from 0 up', (x) => x >= 0 && Number.isFinite(x))
export const fraction = numberReader('a number from 0 up and below 1', (x) => x >= 0 && x < 1)
export const share = numberReader('a number above 0 and at most 1', (x) => x > 0 && x <= 1)

export function tokenizerName(text: string): TokenizerChoice {
  try {
    return tokenizerChoice(text)
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

export function attentionKind(text: string): AttentionChoice {
  try {
    return parseAttention(text)
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

/** For options that may be given several times. */
export function append(text: string, earlier: readonly string[]): string[] {
  return [...earlier, text]
}
