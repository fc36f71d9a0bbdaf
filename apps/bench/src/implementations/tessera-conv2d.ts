import { conv2d, jit, type Runtime, type Tensor, tensor, vjp } from '@tessera/core'
import { type Conv2dCase, conv2dOperands } from '../cases/conv2d.ts'
import type { PreparedCase } from './implementation.ts'

export function prepareConv2d(runtime: Runtime, benchmarkCase: Conv2dCase): PreparedCase {
  const { pass, stride } = benchmarkCase
  const { shapes, ...values } = conv2dOperands(benchmarkCase)
  const [input, filter, error] = (['input', 'filter', 'error'] as const).map((name) =>
    tensor(values[name], shapes[name]).realize(),
  ) as [Tensor, Tensor, Tensor]
  const convolve = (x: Tensor, w: Tensor): Tensor => conv2d(x, w, { stride, padding: 'same' })
  // The function captures the filters of a forward pass: they are constants, as in inference.
  const forward = jit((x: Tensor) => convolve(x, filter))
  const backwardInput = jit((w: Tensor, g: Tensor) => vjp((x) => convolve(x!, w), input).pullback(g)[0]!)
  const backwardFilter = jit((x: Tensor, g: Tensor) => vjp((w) => convolve(x, w!), filter).pullback(g)[0]!)
  const run = (): Tensor => {
    if (pass === 'forward') return forward(input)
    return pass === 'backward-input' ? backwardInput(filter, error) : backwardFilter(input, error)
  }
  return {
    run: () => run().dispose(),
    settle: () => runtime.synchronize(),
    async output() {
      const result = run()
      const data = (await result.data()) as Float32Array
      result.dispose()
      return data
    },
    dispose() {
      for (const operand of [input, filter, error]) operand.dispose()
    },
  }
}
