import { one, type Rational, type RationalMatrix, zero } from './rational.ts'

/** One step of a linear program: `left + factor · right`, or `factor · right`. Values are numbered: first the inputs, then the steps. */
export interface LinearStep {
  readonly left?: number
  readonly right: number
  readonly factor: Rational
}

/** A product of a constant matrix with a vector, as few sums of two terms. */
export interface LinearProgram {
  readonly inputs: number
  readonly steps: readonly LinearStep[]
  /** The value of each row, `undefined` where it is 0. */
  readonly outputs: readonly (number | undefined)[]
}

/** Additions, and multiplications by numbers other than 1 and −1. */
export function countOperations({ steps }: LinearProgram): { additions: number; multiplications: number } {
  return {
    additions: steps.filter(({ left }) => left !== undefined).length,
    multiplications: steps.filter(({ factor }) => !factor.absolute().equals(one)).length,
  }
}

interface Pair {
  readonly left: number
  readonly right: number
  readonly ratio: Rational
}

/**
 * Turns a matrix into sums that share what rows have in common. As long as two rows contain a pair of terms in the same ratio, that pair becomes
 * a value of its own: the most frequent one first, of several one without a multiplication. Rows of opposite points, `even ± odd`,
 * so share both halves.
 */
export function linearProgram(matrix: RationalMatrix): LinearProgram {
  const inputs = matrix[0]?.length ?? 0
  const steps: LinearStep[] = []
  const rows = matrix.map((row) => new Map(row.flatMap((entry, i) => (entry.isZero ? [] : [[i, entry] as const]))))
  const emit = (step: LinearStep): number => inputs + steps.push(step) - 1
  for (let pair = mostFrequentPair(rows); pair; pair = mostFrequentPair(rows)) {
    const { left, right, ratio } = pair
    const sharing = rows.filter((row) => row.get(right)?.equals(row.get(left)?.multiply(ratio) ?? zero))
    // The term that most rows take as it is begins the sum, so that they take the sum as it is.
    const plain = (term: number) => sharing.filter((row) => row.get(term)!.absolute().equals(one)).length
    const turned = plain(right) > plain(left)
    const [first, second] = turned ? [right, left] : [left, right]
    const value = emit({ left: first, right: second, factor: turned ? one.divide(ratio) : ratio })
    for (const row of sharing) {
      const factor = row.get(first)!
      row.delete(left)
      row.delete(right)
      row.set(value, factor)
    }
  }
  const outputs = rows.map((row) => {
    // Begin with a term that needs no multiplication, if there is one.
    const terms = [...row].sort(([, a], [, b]) => Number(b.equals(one)) - Number(a.equals(one)))
    let sum: number | undefined
    for (const [term, factor] of terms) {
      if (sum !== undefined) sum = emit({ left: sum, right: term, factor })
      else sum = factor.equals(one) ? term : emit({ right: term, factor })
    }
    return sum
  })
  return { inputs, steps, outputs }
}

/** The pair of terms that the most rows have in one ratio, if two have. */
function mostFrequentPair(rows: readonly ReadonlyMap<number, Rational>[]): Pair | undefined {
  const counts = new Map<string, { pair: Pair; count: number }>()
  for (const row of rows) {
    const terms = [...row].sort(([a], [b]) => a - b)
    terms.forEach(([left, first], i) => {
      for (const [right, second] of terms.slice(i + 1)) {
        const ratio = second.divide(first)
        const key = `${left} ${right} ${ratio}`
        const known = counts.get(key) ?? { pair: { left, right, ratio }, count: 0 }
        counts.set(key, { ...known, count: known.count + 1 })
      }
    })
  }
  let best: { pair: Pair; count: number } | undefined
  for (const candidate of counts.values()) {
    if (candidate.count < 2) continue
    const isPlain = candidate.pair.ratio.absolute().equals(one)
    const bestIsPlain = best?.pair.ratio.absolute().equals(one) ?? false
    if (!best || candidate.count > best.count || (candidate.count === best.count && isPlain && !bestIsPlain)) {
      best = candidate
    }
  }
  return best?.pair
}

/**
 * The program's result for numbers, or anything that can be added and scaled. Where values are expressions of the language in which a kernel is
 * written, and `addScaled` emits a statement and gives the name of its result, this emits the transform: so do the kernels for WebAssembly
 * (`wasm/linear.ts`), and other languages need no more than the three functions.
 *
 * @example
 * ```ts
 * const { input } = cookToom(2, 3, [0, 1, -1])
 * const lines: string[] = []
 * const name = (code: string) => `v${lines.push(`let v${lines.length} = ${code};`) - 1}`
 * const results = runLinearProgram(linearProgram(input), ['d[0]', 'd[1]', 'd[2]', 'd[3]'], {
 *   zero: () => '0.0',
 *   scale: (value, factor) => name(`${factor.toNumber()} * ${value}`),
 *   addScaled: (left, right, factor) => name(`fma(${factor.toNumber()}, ${right}, ${left})`),
 * })
 * console.log(lines[0]) // let v0 = fma(-1, d[2], d[0]);
 * console.log(results.join(', ')) // v0, v1, v2, v3
 * ```
 */
export function runLinearProgram<Value>(
  { steps, outputs }: LinearProgram,
  values: readonly Value[],
  arithmetic: {
    readonly zero: () => Value
    readonly scale: (value: Value, factor: Rational) => Value
    /** left + factor · right */
    readonly addScaled: (left: Value, right: Value, factor: Rational) => Value
  },
): Value[] {
  const known = [...values]
  for (const { left, right, factor } of steps) {
    const operand = known[right]!
    known.push(
      left === undefined ? arithmetic.scale(operand, factor) : arithmetic.addScaled(known[left]!, operand, factor),
    )
  }
  return outputs.map((output) => (output === undefined ? arithmetic.zero() : known[output]!))
}
