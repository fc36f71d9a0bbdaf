import { DataError } from './data-error.ts'

/** A text in two parts. */
export interface TextSplit {
  readonly training: string
  readonly validation: string
}

/**
 * Splits a text so that the end is held out, as nanoGPT does: with the fraction 0.1 the first 90 % train and the last
 * 10 % validate. Lengths are in UTF-16 units; a character is never cut in two.
 *
 * @throws DataError when the fraction is not from 0 up to, but without, 1
 */
export function splitText(text: string, validationFraction = 0.1): TextSplit {
  if (!(validationFraction >= 0 && validationFraction < 1)) {
    throw new DataError(
      'DATASET_INVALID_OPTION',
      `split: the validation fraction must be at least 0 and below 1, not ${validationFraction}. Give for example 0.1.`,
    )
  }
  const place = Math.floor(text.length * (1 - validationFraction))
  const isInsideCharacter = place > 0 && place < text.length && text.codePointAt(place - 1)! > 0xffff
  const cut = isInsideCharacter ? place - 1 : place
  return { training: text.slice(0, cut), validation: text.slice(cut) }
}
