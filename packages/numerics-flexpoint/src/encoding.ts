import { TesseraError } from '@tessera/core'

/** Sizes of flexN+M: an N-bit mantissa in two's complement for each element, an M-bit exponent for each tensor. */
export interface FlexSizes {
  /** N, from 8 to 24. */
  readonly bits: number
  /** M, from 1 to 8. */
  readonly exponentBits: number
}

/** A tensor as it is stored: element i is `mantissas[i] · scale`. */
export interface FlexTensor extends FlexSizes {
  readonly mantissas: Int8Array | Int16Array | Int32Array
  /** κ = 2^−e. */
  readonly scale: number
}

export type Rounding = 'half-to-even' | { readonly stochastic: () => number }

/** Mantissas lie from −2^(N − 1) to this. */
export const largestMantissa = (bits: number): number => 2 ** (bits - 1) - 1

/** Exponents that M bits hold: scales run from 2^−(2^M − 1) to 1. */
export const smallestScale = (exponentBits: number): number => 2 ** -(2 ** exponentBits - 1)

export function requireSizes({ bits, exponentBits }: FlexSizes): void {
  if (
    Number.isInteger(bits) &&
    bits >= 8 &&
    bits <= 24 &&
    Number.isInteger(exponentBits) &&
    exponentBits >= 1 &&
    exponentBits <= 8
  )
    return
  throw new TesseraError(
    'FLEX_SIZES',
    `flexpoint: bits must be an integer from 8 to 24 and exponentBits from 1 to 8, got ${bits} and ${exponentBits}.`,
  )
}

/** Integer nearest to x; of two as near, the even one. */
export function roundHalfToEven(x: number): number {
  const below = Math.floor(x)
  const rest = x - below
  if (rest !== 0.5) return Math.round(x)
  return below % 2 === 0 ? below : below + 1
}

/**
 * A tensor in flexN+M. Values too large for the scale saturate.
 *
 * @param scale a power of two; by default the smallest that holds every value
 * @param rounding half to even, or up with the probability of the part that is lost, from uniform numbers on [0, 1)
 * @throws TesseraError `FLEX_VALUE` for NaN and infinities, which the format does not have
 *
 * @example
 * ```ts
 * import { decodeFlex, encodeFlex } from '@tessera/numerics-flexpoint'
 * const stored = encodeFlex([1, -0.5, 0.1], { bits: 8, exponentBits: 5 })
 * console.log(stored.mantissas, stored.scale) // [64, -32, 6], 0.015625
 * console.log(decodeFlex(stored)) // [1, -0.5, 0.09375]
 * ```
 */
export function encodeFlex(
  values: ArrayLike<number>,
  sizes: FlexSizes,
  scale: number = fittingScale(values, sizes),
  rounding: Rounding = 'half-to-even',
): FlexTensor {
  requireSizes(sizes)
  const { bits, exponentBits } = sizes
  if (!(scale >= smallestScale(exponentBits) && scale <= 1) || !Number.isInteger(Math.log2(scale))) {
    throw new TesseraError(
      'FLEX_SCALE',
      `flexpoint: the scale must be a power of two from 2^-${2 ** exponentBits - 1} to 1, got ${scale}.`,
    )
  }
  const largest = largestMantissa(bits)
  const mantissas =
    bits <= 8
      ? new Int8Array(values.length)
      : bits <= 16
        ? new Int16Array(values.length)
        : new Int32Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (!Number.isFinite(value)) {
      throw new TesseraError('FLEX_VALUE', `flexpoint: element ${i} is ${value}, which the format cannot hold.`)
    }
    const exact = value / scale
    const rounded = rounding === 'half-to-even' ? roundHalfToEven(exact) : Math.floor(exact + rounding.stochastic())
    mantissas[i] = Math.min(Math.max(rounded, -largest - 1), largest)
  }
  return { mantissas, scale, bits, exponentBits }
}

/** The values of a stored tensor. They are exact: mantissas of up to 24 bits and powers of two fit f32. */
export function decodeFlex({ mantissas, scale }: FlexTensor): Float32Array {
  return Float32Array.from(mantissas, (mantissa) => mantissa * scale)
}

/** The smallest scale in range with which no value saturates. */
export function fittingScale(values: ArrayLike<number>, { bits, exponentBits }: FlexSizes): number {
  let largest = 0
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]!))
  if (largest === 0 || !Number.isFinite(largest)) return 1
  let scale = 2 ** (Math.floor(Math.log2(largest)) - bits + 2)
  if (roundHalfToEven(largest / scale) > largestMantissa(bits)) scale *= 2
  return Math.min(Math.max(scale, smallestScale(exponentBits)), 1)
}

/**
 * Product of `[rows, inner]` and `[inner, columns]` on integer mantissas: exponents add, sums are exact, and each result is rounded once to
 * the output's scale.
 */
export function flexMatmul(
  a: FlexTensor,
  b: FlexTensor,
  [rows, inner, columns]: readonly [number, number, number],
  scale: number,
): FlexTensor {
  const sums = new Float64Array(rows * columns)
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0
      for (let k = 0; k < inner; k++) sum += a.mantissas[i * inner + k]! * b.mantissas[k * columns + j]!
      sums[i * columns + j] = sum
    }
  }
  if (inner * 2 ** (a.bits + b.bits - 2) > Number.MAX_SAFE_INTEGER) {
    throw new TesseraError(
      'FLEX_SUM',
      `flexpoint: sums of ${inner} products of ${a.bits} and ${b.bits} bits may exceed 53 bits. Split the inner axis.`,
    )
  }
  const factor = a.scale * b.scale
  return encodeFlex(
    sums.map((sum) => sum * factor),
    a,
    scale,
  )
}
