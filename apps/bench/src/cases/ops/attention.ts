import { type OpDefinition, operand } from './definition.ts'
import { softmaxRow } from './softmax.ts'

/** Causal attention, [heads, length, depth], or the gradients of query, key and value for a given gradient of the result. */
export const attentionDefinition: OpDefinition<'attention'> = {
  inputs: ({ heads, length, depth, gradient }) =>
    [41, 42, 43, ...(gradient ? [44] : [])].map((seed) => operand([heads, length, depth], seed)),
  // Half of the scores are masked; two products going forward, and five more going backward with the scores computed anew.
  work: ({ heads, length, depth, gradient }) => ({
    flops: (gradient ? 7 : 2) * heads * length * length * depth,
    bytes: 4 * (gradient ? 7 : 4) * heads * length * depth,
  }),
  expected({ heads, length, depth, gradient }, inputs) {
    const size = heads * length * depth
    const result = new Float64Array(gradient ? 3 * size : size)
    const scores = new Float64Array(length)
    const shares = new Float64Array(length)
    const [q, k, v, given] = inputs.map(({ values }) => values)
    const scale = 1 / Math.sqrt(depth)
    const dot = (a: ArrayLike<number>, at: number, b: ArrayLike<number>, from: number): number => {
      let sum = 0
      for (let i = 0; i < depth; i++) sum += a[at + i]! * b[from + i]!
      return sum
    }
    const accumulate = (at: number, factor: number, values: ArrayLike<number>, from: number): void => {
      for (let i = 0; i < depth; i++) result[at + i]! += factor * values[from + i]!
    }
    for (let head = 0; head < heads; head++) {
      for (let query = 0; query < length; query++) {
        const row = (head * length + query) * depth
        const keyAt = (key: number): number => (head * length + key) * depth
        for (let key = 0; key <= query; key++) scores[key] = scale * dot(q!, row, k!, keyAt(key))
        softmaxRow(scores, 0, query + 1, shares)
        if (!given) {
          for (let key = 0; key <= query; key++) accumulate(row, shares[key]!, v!, keyAt(key))
          continue
        }
        let mean = 0
        for (let key = 0; key <= query; key++) {
          scores[key] = dot(given, row, v!, keyAt(key))
          mean += shares[key]! * scores[key]!
        }
        for (let key = 0; key <= query; key++) {
          const change = scale * shares[key]! * (scores[key]! - mean)
          accumulate(row, change, k!, keyAt(key))
          accumulate(size + keyAt(key), change, q!, row)
          accumulate(2 * size + keyAt(key), shares[key]!, given, row)
        }
      }
    }
    return result
  },
}
