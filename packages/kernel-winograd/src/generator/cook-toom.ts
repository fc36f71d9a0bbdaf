import { one, Rational, type RationalMatrix, zero } from './rational.ts'

/**
 * The matrices of a minimal filtering algorithm F(m, r), which computes m outputs of a filter of r taps from α = m + r − 1 inputs d with α
 * products: `y = Aᵀ [(G g) ⊙ (Bᵀ d)]`. Nested in two dimensions: `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`.
 */
export interface WinogradMatrices {
  readonly outputs: number
  readonly taps: number
  /** α = outputs + taps − 1. */
  readonly size: number
  /** Aᵀ, `[outputs, size]`. */
  readonly output: RationalMatrix
  /** G, `[size, taps]`. */
  readonly filter: RationalMatrix
  /** Bᵀ, `[size, size]`. */
  readonly input: RationalMatrix
}

/** Coefficients of a polynomial, the constant one first, times (x − root). */
function timesRoot(polynomial: readonly Rational[], root: Rational): Rational[] {
  return [...polynomial, zero].map((coefficient, power) => {
    const shifted = power > 0 ? polynomial[power - 1]! : zero
    return shifted.subtract(power < polynomial.length ? coefficient.multiply(root) : zero)
  })
}

function powersOf(value: Rational, count: number): Rational[] {
  const powers: Rational[] = []
  for (let i = 0; i < count; i++) powers.push(i === 0 ? one : powers[i - 1]!.multiply(value))
  return powers
}

const unit = (length: number, at: number): Rational[] => Array.from({ length }, (_, i) => (i === at ? one : zero))

/**
 * The modified Cook–Toom algorithm (Lavin & Gray 2016, section 4; Winograd 1980; Blahut 2010) in exact arithmetic. Polynomials are multiplied
 * by their values at α − 1 points and at infinity.
 *
 * @param outputs m, outputs of a tile
 * @param taps r, taps of the filter
 * @param points m + r − 2 distinct numbers; small ones of opposite signs in pairs share the most work and round the least
 * @throws RangeError when sizes are not positive integers, or points are too few, too many or not distinct
 * @example
 * ```ts
 * const { input } = cookToom(2, 3, [0, 1, -1])
 * console.log(formatMatrix(input)) // [ '1 0 -1 0', '0 1 1 0', '0 -1 1 0', '0 -1 0 1' ]
 * ```
 */
export function cookToom(outputs: number, taps: number, points: readonly (number | Rational)[]): WinogradMatrices {
  if (![outputs, taps].every((count) => Number.isInteger(count) && count >= 1)) {
    throw new RangeError(`cookToom: F(${outputs}, ${taps}) needs sizes that are integers ≥ 1.`)
  }
  const size = outputs + taps - 1
  const at = points.map(Rational.of)
  if (at.length !== size - 1 || at.some((point, i) => at.slice(0, i).some((other) => other.equals(point)))) {
    throw new RangeError(`cookToom: F(${outputs}, ${taps}) needs ${size - 1} distinct points, got [${at.join(', ')}].`)
  }
  // Of each point, the product of its distances from the others. The first row of Bᵀ and its factor may change sign together.
  const factors = at.map((point, i) =>
    at.reduce((product, other, k) => (k === i ? product : product.multiply(point.subtract(other))), one),
  )
  const flipsFirst = factors.length > 0 && factors[0]!.numerator < 0n
  const others = at.map((_, i) =>
    at.reduce((product, root, k) => (k === i ? product : timesRoot(product, root)), [one]),
  )
  const input = others.map((polynomial, i) => {
    const row = [...polynomial, zero]
    return i === 0 && flipsFirst ? row.map((entry) => entry.negate()) : row
  })
  input.push(at.reduce((product, root) => timesRoot(product, root), [one]))
  const filter = at.map((point, i) => {
    const factor = i === 0 && flipsFirst ? factors[i]!.negate() : factors[i]!
    return powersOf(point, taps).map((power) => power.divide(factor))
  })
  filter.push(unit(taps, taps - 1))
  const powers = at.map((point) => powersOf(point, outputs))
  const output = Array.from({ length: outputs }, (_, j) => [
    ...powers.map((column) => column[j]!),
    j === outputs - 1 ? one : zero,
  ])
  return { outputs, taps, size, output, filter, input }
}

/**
 * The same algorithm with the first number of each row of G moved to the column of Aᵀ: rows of G are then 1, p, p², …, which share more and take
 * half as many operations, and Aᵀ, which has factors already, takes hardly more.
 */
export function withPlainFilter(matrices: WinogradMatrices): WinogradMatrices {
  const factors = matrices.filter.map((row) => row.find((entry) => !entry.isZero) ?? one)
  return {
    ...matrices,
    filter: matrices.filter.map((row, i) => row.map((entry) => entry.divide(factors[i]!))),
    output: matrices.output.map((row) => row.map((entry, i) => entry.multiply(factors[i]!))),
  }
}

/** The filter's transform for a filter that is turned by 180°, as the gradient to the input needs it: G with its columns reversed. */
export function reversedColumns(matrix: RationalMatrix): RationalMatrix {
  return matrix.map((row) => row.toReversed())
}
