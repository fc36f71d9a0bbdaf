import { type OpDefinition, type OpInput, operand } from './definition.ts'

/** Gradients of the weights, [in, out] each, for the mean squared error of a perceptron with ReLU between its layers. */
export const mlpDefinition: OpDefinition<'mlp'> = {
  inputs: ({ batch, widths }) => [
    operand([batch, widths[0]!], 61),
    operand([batch, widths.at(-1)!], 62),
    ...widths.slice(1).map((width, layer): OpInput => {
      const fanIn = widths[layer]!
      const weight = operand([fanIn, width], 63 + layer)
      return { ...weight, values: Float32Array.from(weight.values, (x) => x * Math.sqrt(6 / fanIn)) }
    }),
  ],
  work({ batch, widths }) {
    const weights = widths.slice(1).reduce((sum, width, layer) => sum + width * widths[layer]!, 0)
    // No gradient of the input is needed.
    return { flops: 6 * batch * weights - 2 * batch * widths[0]! * widths[1]!, bytes: 8 * weights }
  },
  expected({ batch, widths }, [x, y, ...weights]) {
    const layers = weights.length
    const activations: Float64Array[] = [Float64Array.from(x!.values)]
    for (let layer = 0; layer < layers; layer++) {
      const out = product(activations[layer]!, weights[layer]!.values, batch, widths[layer]!, widths[layer + 1]!)
      activations.push(layer < layers - 1 ? out.map((value) => Math.max(value, 0)) : out)
    }
    let upstream = activations[layers]!.map((value, i) => (2 * (value - y!.values[i]!)) / y!.values.length)
    const gradients: Float64Array[] = []
    for (let layer = layers - 1; layer >= 0; layer--) {
      const [rows, columns] = [widths[layer]!, widths[layer + 1]!]
      gradients.unshift(product(transposed(activations[layer]!, batch, rows), upstream, rows, batch, columns))
      const turned = transposed(weights[layer]!.values, rows, columns)
      const passed = product(upstream, turned, batch, columns, rows)
      upstream = passed.map((value, i) => (activations[layer]![i]! > 0 ? value : 0))
    }
    return Float64Array.from(gradients.flatMap((gradient) => [...gradient]))
  },
}

/** `[m, k] · [k, n]` */
function product(a: ArrayLike<number>, b: ArrayLike<number>, m: number, k: number, n: number): Float64Array {
  const result = new Float64Array(m * n)
  for (let row = 0; row < m; row++) {
    for (let inner = 0; inner < k; inner++) {
      const factor = a[row * k + inner]!
      for (let column = 0; column < n; column++) result[row * n + column]! += factor * b[inner * n + column]!
    }
  }
  return result
}

/** `[rows, columns] → [columns, rows]` */
function transposed(values: ArrayLike<number>, rows: number, columns: number): Float64Array {
  return Float64Array.from({ length: rows * columns }, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!)
}
