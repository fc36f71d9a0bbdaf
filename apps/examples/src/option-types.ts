import { InvalidArgumentError } from 'commander'

/** Makes a reader of numbers within bounds. */
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
export const fraction = numberReader('a number from 0 up and below 1', (x) => x >= 0 && x < 1)
