import { type OpDefinition, operand } from './definition.ts'

export const layerNormEpsilon = 1e-5

/** Layer norm of the last axis with gain and bias, or its gradients for a given gradient of the result. */
export const layerNormDefinition: OpDefinition<'layer-norm'> = {
  inputs: ({ rows, columns, gradient }) => [
    operand([rows, columns], 21),
    operand([columns], 22),
    operand([columns], 23),
    ...(gradient ? [operand([rows, columns], 24)] : []),
  ],
  work: ({ rows, columns, gradient }) => ({
    flops: (gradient ? 14 : 8) * rows * columns,
    bytes: (gradient ? 12 : 8) * rows * columns,
  }),
  expected({ rows, columns, gradient }, [x, gain, bias, upstream]) {
    const standard = new Float64Array(columns)
    const result = new Float64Array(rows * columns + (gradient ? 2 * columns : 0))
    const [gains, biases] = [rows * columns, rows * columns + columns]
    for (let row = 0; row < rows; row++) {
      const start = row * columns
      const deviation = standardize(x!.values, start, standard)
      if (!gradient) {
        for (let i = 0; i < columns; i++) result[start + i] = standard[i]! * gain!.values[i]! + bias!.values[i]!
        continue
      }
      let [mean, along] = [0, 0]
      for (let i = 0; i < columns; i++) {
        const given = upstream!.values[start + i]!
        result[gains + i]! += given * standard[i]!
        result[biases + i]! += given
        mean += (given * gain!.values[i]!) / columns
        along += (given * gain!.values[i]! * standard[i]!) / columns
      }
      for (let i = 0; i < columns; i++) {
        const given = upstream!.values[start + i]! * gain!.values[i]!
        result[start + i] = (given - mean - standard[i]! * along) / deviation
      }
    }
    return result
  },
}

/** Writes the standardised row to `standard`; gives its deviation. */
function standardize(values: ArrayLike<number>, start: number, standard: Float64Array): number {
  const { length } = standard
  let [mean, variance] = [0, 0]
  for (let i = 0; i < length; i++) mean += values[start + i]! / length
  for (let i = 0; i < length; i++) variance += (values[start + i]! - mean) ** 2 / length
  const deviation = Math.sqrt(variance + layerNormEpsilon)
  for (let i = 0; i < length; i++) standard[i] = (values[start + i]! - mean) / deviation
  return deviation
}
