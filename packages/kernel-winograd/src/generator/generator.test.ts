import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cookToom, reversedColumns, type WinogradMatrices } from './cook-toom.ts'
import { countOperations, linearProgram, runLinearProgram } from './linear-program.ts'
import { formatMatrix, one, Rational, type RationalMatrix, zero } from './rational.ts'

const exact = {
  zero: () => zero,
  scale: (value: Rational, factor: Rational) => value.multiply(factor),
  addScaled: (left: Rational, right: Rational, factor: Rational) => left.add(right.multiply(factor)),
}

const times = (matrix: RationalMatrix, vector: readonly Rational[]): Rational[] =>
  matrix.map((row) => row.reduce((sum, entry, i) => sum.add(entry.multiply(vector[i]!)), zero))

/** Aᵀ [(G g) ⊙ (Bᵀ d)] */
function filtered({ input, filter, output }: WinogradMatrices, data: readonly Rational[], taps: readonly Rational[]) {
  const left = times(filter, taps)
  return times(
    output,
    times(input, data).map((value, i) => value.multiply(left[i]!)),
  )
}

const direct = (outputs: number, data: readonly Rational[], taps: readonly Rational[]): Rational[] =>
  Array.from({ length: outputs }, (_, i) => taps.reduce((sum, tap, j) => sum.add(tap.multiply(data[i + j]!)), zero))

const texts = (values: readonly Rational[]) => values.map(String)
const points = [0, 1, -1, 2, -2, 1 / 2, -1 / 2, 4, -4, 1 / 4, -1 / 4]
const small = fc.integer({ min: -9, max: 9 }).map((value) => Rational.of(value))

describe('cookToom', () => {
  // wincnn (Lavin 2016), and sections 4.1 and 4.3 of Lavin & Gray 2016.
  it('gives the published matrices of F(2, 3)', () => {
    const { input, filter, output } = cookToom(2, 3, [0, 1, -1])
    expect(formatMatrix(input)).toEqual(['1 0 -1 0', '0 1 1 0', '0 -1 1 0', '0 -1 0 1'])
    expect(formatMatrix(filter)).toEqual(['1 0 0', '1/2 1/2 1/2', '1/2 -1/2 1/2', '0 0 1'])
    expect(formatMatrix(output)).toEqual(['1 1 1 0', '0 1 -1 1'])
  })

  it('gives the published matrices of F(3, 2)', () => {
    const { input, filter, output } = cookToom(3, 2, [0, 1, -1])
    expect(formatMatrix(input)).toEqual(['1 0 -1 0', '0 1 1 0', '0 -1 1 0', '0 -1 0 1'])
    expect(formatMatrix(filter)).toEqual(['1 0', '1/2 1/2', '1/2 -1/2', '0 1'])
    expect(formatMatrix(output)).toEqual(['1 1 1 0', '0 1 -1 0', '0 1 1 1'])
  })

  it('gives the published matrices of F(4, 3)', () => {
    const { input, filter, output } = cookToom(4, 3, [0, 1, -1, 2, -2])
    expect(formatMatrix(input)).toEqual([
      '4 0 -5 0 1 0',
      '0 -4 -4 1 1 0',
      '0 4 -4 -1 1 0',
      '0 -2 -1 2 1 0',
      '0 2 -1 -2 1 0',
      '0 4 0 -5 0 1',
    ])
    expect(formatMatrix(filter)).toEqual([
      '1/4 0 0',
      '-1/6 -1/6 -1/6',
      '-1/6 1/6 -1/6',
      '1/24 1/12 1/6',
      '1/24 -1/12 1/6',
      '0 0 1',
    ])
    expect(formatMatrix(output)).toEqual(['1 1 1 1 1 0', '0 1 -1 2 -2 0', '0 1 1 4 4 0', '0 1 -1 8 -8 1'])
  })

  it('gives the published matrices of F(6, 3)', () => {
    const { input, filter, output } = cookToom(6, 3, [0, 1, -1, 2, -2, 1 / 2, -1 / 2])
    expect(formatMatrix(input)).toEqual([
      '1 0 -21/4 0 21/4 0 -1 0',
      '0 1 1 -17/4 -17/4 1 1 0',
      '0 -1 1 17/4 -17/4 -1 1 0',
      '0 1/2 1/4 -5/2 -5/4 2 1 0',
      '0 -1/2 1/4 5/2 -5/4 -2 1 0',
      '0 2 4 -5/2 -5 1/2 1 0',
      '0 -2 4 5/2 -5 -1/2 1 0',
      '0 -1 0 21/4 0 -21/4 0 1',
    ])
    expect(formatMatrix(filter)).toEqual([
      '1 0 0',
      '-2/9 -2/9 -2/9',
      '-2/9 2/9 -2/9',
      '1/90 1/45 2/45',
      '1/90 -1/45 2/45',
      '32/45 16/45 8/45',
      '32/45 -16/45 8/45',
      '0 0 1',
    ])
    expect(formatMatrix(output)).toEqual([
      '1 1 1 1 1 1 1 0',
      '0 1 -1 2 -2 1/2 -1/2 0',
      '0 1 1 4 4 1/4 1/4 0',
      '0 1 -1 8 -8 1/8 -1/8 0',
      '0 1 1 16 16 1/16 1/16 0',
      '0 1 -1 32 -32 1/32 -1/32 1',
    ])
  })

  it('filters exactly, for every m and r up to 6', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 6 }),
        fc.infiniteStream(small),
        (m, r, stream) => {
          const matrices = cookToom(m, r, points.slice(0, m + r - 2))
          const next = () => stream.next().value as Rational
          const data = Array.from({ length: m + r - 1 }, next)
          const taps = Array.from({ length: r }, next)
          expect(texts(filtered(matrices, data, taps))).toEqual(texts(direct(m, data, taps)))
          const turned = { ...matrices, filter: reversedColumns(matrices.filter) }
          expect(texts(filtered(turned, data, taps.toReversed()))).toEqual(texts(direct(m, data, taps)))
        },
      ),
      { numRuns: 100 },
    )
  })

  it('says which points it needs', () => {
    expect(() => cookToom(2, 3, [0, 1])).toThrow('F(2, 3) needs 3 distinct points, got [0, 1].')
    expect(() => cookToom(2, 3, [0, 1, 1])).toThrow('3 distinct points, got [0, 1, 1]')
    expect(() => cookToom(0, 3, [0])).toThrow('sizes that are integers ≥ 1')
  })
})

describe('linearProgram', () => {
  it('computes the product with its matrix', () => {
    const entries = fc.constantFrom(
      ...['0', '1', '-1', '2', '1/2'].map((text) => {
        const [numerator, denominator = '1'] = text.split('/')
        return new Rational(BigInt(numerator!), BigInt(denominator))
      }),
    )
    const matrices = fc
      .integer({ min: 1, max: 6 })
      .chain((columns) =>
        fc.array(fc.array(entries, { minLength: columns, maxLength: columns }), { minLength: 1, maxLength: 6 }),
      )
    fc.assert(
      fc.property(matrices, fc.infiniteStream(small), (matrix, stream) => {
        const vector = Array.from({ length: matrix[0]!.length }, () => stream.next().value as Rational)
        expect(texts(runLinearProgram(linearProgram(matrix), vector, exact))).toEqual(texts(times(matrix, vector)))
      }),
      { numRuns: 100 },
    )
  })

  it('emits code of another language', () => {
    const matrix = cookToom(4, 3, [0, 5 / 8, -5 / 8, 3 / 2, -3 / 2]).input
    const lines: string[] = []
    const name = (code: string) => `v${lines.push(`const v${lines.length} = ${code}`) - 1}`
    const results = runLinearProgram(linearProgram(matrix), ['d[0]', 'd[1]', 'd[2]', 'd[3]', 'd[4]', 'd[5]'], {
      zero: () => '0',
      scale: (value, factor) => name(`${factor.toNumber()} * ${value}`),
      addScaled: (left, right, factor) => name(`${left} + ${factor.toNumber()} * ${right}`),
    })
    const data = [3, -1, 4, 1, -5, 9]
    const run = new Function('d', `${lines.join('\n')}\nreturn [${results.join(', ')}]`)
    // Dyadic fractions: exact in float64.
    expect(run(data)).toEqual(times(matrix, data.map(Rational.of)).map((value) => value.toNumber()))
  })

  // Section 4.1: F(2×2, 3×3) takes 32 additions for the data and 24 for the inverse.
  it('takes as few additions as the paper counts', () => {
    const { input, output } = cookToom(2, 3, [0, 1, -1])
    const nested = (matrix: RationalMatrix) => {
      const { additions } = countOperations(linearProgram(matrix))
      return additions * (matrix[0]!.length + matrix.length)
    }
    expect(nested(input)).toBe(32)
    expect(nested(output)).toBe(24)
  })

  it('shares the halves of rows of opposite points', () => {
    const { input } = cookToom(4, 3, [0, 5 / 8, -5 / 8, 3 / 2, -3 / 2])
    const plain = input.reduce((sum, row) => sum + row.filter((entry) => !entry.isZero).length - 1, 0)
    const { additions } = countOperations(linearProgram(input))
    expect(plain).toBe(16)
    expect(additions).toBe(12)
  })
})

describe('Rational', () => {
  it('is exact, in lowest terms, with a positive denominator', () => {
    expect(`${new Rational(6n, -4n)}`).toBe('-3/2')
    expect(`${Rational.of(0.1).subtract(new Rational(1n, 10n))}`).not.toBe('0')
    expect(Rational.of(-0.375).equals(new Rational(-3n, 8n))).toBe(true)
    expect(one.divide(Rational.of(3)).toNumber()).toBe(1 / 3)
    expect(() => new Rational(1n, 0n)).toThrow(RangeError)
    expect(() => Rational.of(Number.NaN)).toThrow(RangeError)
  })
})
