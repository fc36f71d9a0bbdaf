function greatestCommonDivisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b]
  while (y !== 0n) [x, y] = [y, x % y]
  return x
}

/** An exact fraction in lowest terms, its denominator positive. */
export class Rational {
  readonly numerator: bigint
  readonly denominator: bigint

  constructor(numerator: bigint, denominator = 1n) {
    if (denominator === 0n) throw new RangeError(`Rational: ${numerator} / 0 is no number.`)
    const sign = denominator < 0n ? -1n : 1n
    const divisor = greatestCommonDivisor(numerator, denominator) || 1n
    this.numerator = (sign * numerator) / divisor
    this.denominator = (sign * denominator) / divisor
  }

  /** Exact: every finite number is a fraction of a power of two. */
  static of(value: number | Rational): Rational {
    if (value instanceof Rational) return value
    if (!Number.isFinite(value)) throw new RangeError(`Rational: ${value} is no fraction.`)
    let denominator = 1n
    let scaled = value
    while (!Number.isInteger(scaled)) {
      scaled *= 2
      denominator *= 2n
    }
    return new Rational(BigInt(scaled), denominator)
  }

  add(other: Rational): Rational {
    return new Rational(
      this.numerator * other.denominator + other.numerator * this.denominator,
      this.denominator * other.denominator,
    )
  }

  subtract(other: Rational): Rational {
    return this.add(other.negate())
  }

  multiply(other: Rational): Rational {
    return new Rational(this.numerator * other.numerator, this.denominator * other.denominator)
  }

  divide(other: Rational): Rational {
    return new Rational(this.numerator * other.denominator, this.denominator * other.numerator)
  }

  negate(): Rational {
    return new Rational(-this.numerator, this.denominator)
  }

  absolute(): Rational {
    return this.numerator < 0n ? this.negate() : this
  }

  equals(other: Rational): boolean {
    return this.numerator === other.numerator && this.denominator === other.denominator
  }

  get isZero(): boolean {
    return this.numerator === 0n
  }

  /** The nearest number. */
  toNumber(): number {
    return Number(this.numerator) / Number(this.denominator)
  }

  /** `2`, `-1/6`. */
  toString(): string {
    return this.denominator === 1n ? `${this.numerator}` : `${this.numerator}/${this.denominator}`
  }
}

export const zero = new Rational(0n)
export const one = new Rational(1n)

/** Rows of exact numbers. */
export type RationalMatrix = readonly (readonly Rational[])[]

/** The entries as text, row by row, as published matrices are written. */
export const formatMatrix = (matrix: RationalMatrix): string[] => matrix.map((row) => row.join(' '))
