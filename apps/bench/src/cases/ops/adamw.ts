import { type OpDefinition, operand } from './definition.ts'

/** Large enough for the update to be seen beside the parameters. */
export const adamwOptions = { learningRate: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 } as const

/**
 * The third update of parameters by AdamW (Loshchilov & Hutter 2019) from given moments: new parameters, first and second
 * moments. Second moments are squares, so that they are not negative.
 */
export const adamwDefinition: OpDefinition<'adamw'> = {
  inputs({ parameters }) {
    const [value, gradient, first, root] = [51, 52, 53, 54].map((seed) => operand([parameters], seed))
    const values = Float32Array.from(root!.values, (x) => x * x + 0.01)
    return [value!, gradient!, first!, { shape: [parameters], values }]
  },
  work: ({ parameters }) => ({ flops: 14 * parameters, bytes: 28 * parameters }),
  expected({ parameters }, inputs) {
    const { learningRate, beta1, beta2, epsilon, weightDecay } = adamwOptions
    const [value, gradient, first, second] = inputs.map(({ values }) => values)
    const result = new Float64Array(3 * parameters)
    const [correction1, correction2] = [1 - beta1 ** 3, 1 - beta2 ** 3]
    for (let i = 0; i < parameters; i++) {
      const m = beta1 * first![i]! + (1 - beta1) * gradient![i]!
      const v = beta2 * second![i]! + (1 - beta2) * gradient![i]! ** 2
      const change = m / correction1 / (Math.sqrt(v / correction2) + epsilon)
      result[i] = value![i]! * (1 - learningRate * weightDecay) - learningRate * change
      result[parameters + i] = m
      result[2 * parameters + i] = v
    }
    return result
  },
}
