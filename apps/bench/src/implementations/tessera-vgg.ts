import { conv2d, jit, maxPool2d, type Runtime, type Tensor, tensor } from '@tessera/core'
import { type VggCase, vggOperands } from '../cases/vgg.ts'
import type { PreparedCase } from './implementation.ts'

export function prepareVgg(runtime: Runtime, benchmarkCase: VggCase): PreparedCase {
  const { image, imageShape, filters } = vggOperands(benchmarkCase)
  const input = tensor(image, imageShape).realize()
  const weights = filters.map(({ values, shape }) => tensor(values, shape).realize())
  // The function captures the filters: they are constants, as in inference.
  const run = jit((x: Tensor) =>
    weights.reduce((activation, weight, i) => {
      const next = conv2d(activation, weight, { padding: 1 }).relu()
      return filters[i]!.endsBlock ? maxPool2d(next, 2) : next
    }, x),
  )
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
