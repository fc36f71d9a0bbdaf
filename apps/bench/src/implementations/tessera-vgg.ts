import { conv2d, jit, maxPool2d, type Runtime, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { crossEntropy } from '@tessera/nn'
import { checkedSteps, type VggCase, vggLabels, vggOperands } from '../cases/vgg.ts'
import type { PreparedCase } from './implementation.ts'

export function prepareVgg(runtime: Runtime, benchmarkCase: VggCase): PreparedCase {
  const { image, imageShape, filters } = vggOperands(benchmarkCase)
  const input = tensor(image, imageShape).realize()
  const weights = filters.map(({ values, shape }) => tensor(values, shape).realize())
  const features = (x: Tensor, taken: readonly Tensor[]): Tensor =>
    taken.reduce((activation, weight, i) => {
      const next = conv2d(activation, weight, { padding: 1 }).relu()
      return filters[i]!.endsBlock ? maxPool2d(next, 2) : next
    }, x)
  if (benchmarkCase.pass === 'step') return prepareStep(runtime, benchmarkCase, input, weights, features)
  // The function captures the filters: they are constants, as in inference.
  const run = jit((x: Tensor) => features(x, weights))
  return {
    run: () => run(input).dispose(),
    settle: () => runtime.synchronize(),
    async output() {
      const result = run(input)
      const values = (await result.data()) as Float32Array
      result.dispose()
      return values
    },
    dispose() {
      for (const operand of [input, ...weights]) operand.dispose()
    },
  }
}

/** A step of gradient descent: one program that goes forward and backward and updates the filters. */
function prepareStep(
  runtime: Runtime,
  benchmarkCase: VggCase,
  input: Tensor,
  weights: Tensor[],
  features: (x: Tensor, weights: readonly Tensor[]) => Tensor,
): PreparedCase {
  const labels = tensor(vggLabels(benchmarkCase)).realize()
  const network = { weights }
  const step = jit((trained: { weights: Tensor[] }, x: Tensor) => {
    const { value, gradients } = valueAndGrad(trained.weights, (taken) =>
      crossEntropy(features(x, taken).mean([2, 3]), labels),
    )
    trained.weights = trained.weights.map((weight, i) =>
      weight.subtract(gradients[i]!.multiply(benchmarkCase.learningRate)),
    )
    return value
  })
  return {
    run: () => step(network, input).dispose(),
    settle: () => runtime.synchronize(),
    async output() {
      const losses = new Float32Array(checkedSteps)
      for (let index = 0; index < checkedSteps; index++) {
        const loss = step(network, input)
        losses[index] = await loss.item()
        loss.dispose()
      }
      return losses
    },
    dispose() {
      for (const operand of [input, labels, ...network.weights]) operand.dispose()
    },
  }
}
