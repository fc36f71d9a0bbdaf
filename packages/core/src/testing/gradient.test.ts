import { describe, expect, it } from 'vitest'
import { checkGradient } from './gradient.ts'

/** f(x, y) = Σ xᵢ² · sin(yᵢ) */
const evaluate = ([x, y]: Float64Array[]): number =>
  x!.reduce((sum, value, i) => sum + value ** 2 * Math.sin(y![i]!), 0)
const gradient = ([x, y]: Float64Array[]): Float64Array[] => [
  x!.map((value, i) => 2 * value * Math.sin(y![i]!)),
  y!.map((value, i) => x![i]! ** 2 * Math.cos(value)),
]
const inputs = [Float64Array.of(0.5, -2, 30), Float64Array.of(1, 0, -0.7)]

describe('checkGradient', () => {
  it('takes a right gradient, of plain and asynchronous functions', async () => {
    await checkGradient({ evaluate, gradient, inputs })
    await checkGradient({
      evaluate: async (values) => evaluate(values),
      gradient: async (values) => gradient(values),
      inputs,
      tolerance: 1e-7,
    })
  })

  it('reports the worst element of a wrong one', async () => {
    const wrong = (values: Float64Array[]): Float64Array[] => {
      const [x, y] = gradient(values)
      y![1]! *= 1.001
      y![2]! *= 1.1
      return [x!, y!]
    }
    await expect(checkGradient({ evaluate, gradient: wrong, inputs, names: ['x', 'y'] })).rejects.toThrow(
      /2 of 6 derivatives differ\. Worst: element 2 of y \(value -0\.7\) has gradient 757\.\d+, central differences give 688\.\d+/,
    )
  })

  it('finds NaN, missing gradients and wrong lengths', async () => {
    await expect(
      checkGradient({
        evaluate,
        gradient: () => [
          [Number.NaN, 0, 0],
          [0, 0, 0],
        ],
        inputs,
      }),
    ).rejects.toThrow(/element 0 of input 0 .* has gradient NaN/)
    await expect(checkGradient({ evaluate, gradient: () => [[0, 0, 0]], inputs })).rejects.toThrow(
      '1 gradients for 2 inputs',
    )
    await expect(checkGradient({ evaluate, gradient: () => [[0], [0, 0, 0]], inputs })).rejects.toThrow(
      'the gradient of input 0 has 1 elements, the input has 3',
    )
  })

  it('leaves the inputs as they were, whatever the functions do to theirs', async () => {
    const own = [Float64Array.of(2)]
    await checkGradient({
      evaluate: ([x]) => {
        const result = x![0]! ** 3
        x!.fill(0)
        return result
      },
      gradient: ([x]) => [[3 * x![0]! ** 2]],
      inputs: own,
    })
    expect(own[0]![0]).toBe(2)
  })
})
