import { wasm } from '@tessera/backend-wasm'
import { conv2d, createRuntime, grad, jit, randomKey, randomNormal, type Tensor } from '@tessera/core'
import { winograd, winogradF4 } from '@tessera/kernel-winograd'

interface Layer {
  input: Tensor
  filters: Tensor
  bias: Tensor
}

/** A convolution with bias and ReLU, and its gradients, on the kernels that the given plugins bring. */
async function run(plugins: Parameters<typeof createRuntime>[0]): Promise<{ values: number[]; explanation: string }> {
  const runtime = await createRuntime(plugins)
  const layer = jit(({ input, filters, bias }: Layer) =>
    conv2d(input, filters, { padding: 1 })
      .add(bias.reshape([-1, 1, 1]))
      .relu(),
  )
  const gradients = jit((given: Layer) =>
    grad(({ input, filters, bias }: Layer) =>
      conv2d(input, filters, { padding: 1 })
        .add(bias.reshape([-1, 1, 1]))
        .square()
        .sum(),
    )(given),
  )
  const given = {
    input: randomNormal(randomKey(1), [2, 32, 26, 27]),
    filters: randomNormal(randomKey(2), [48, 32, 3, 3]).multiply(0.1),
    bias: randomNormal(randomKey(3), [48]),
  }
  const { input, filters, bias } = gradients(given)
  const results = [layer(given), input, filters, bias]
  const values: number[] = []
  for (const result of results) for (const value of await result.data()) values.push(Number(value))
  const explanation = `${layer.explain()}\n${gradients.explain()}`
  await runtime.close()
  return { values, explanation }
}

function compare(name: string, { values }: { values: number[] }, expected: number[]): void {
  let [error, size] = [0, 0]
  expected.forEach((value, i) => {
    error += (values[i]! - value) ** 2
    size += value ** 2
  })
  const relative = Math.sqrt(error / size)
  if (!(relative < 1e-5)) throw new Error(`${name}: results differ from the direct kernel's by ${relative}`)
}

function expectKernels(name: string, explanation: string, kernels: string[]): void {
  for (const kernel of kernels) {
    if (!explanation.includes(`1 × ${kernel}`)) throw new Error(`${name}: ${kernel} was not taken:\n${explanation}`)
  }
}

const direct = await run({ use: [wasm({ threads: 1 })] })
expectKernels('direct', direct.explanation, ['wasm-convolution'])

const whole = await run({ use: [wasm({ threads: 1 }), winograd()] })
expectKernels('winograd()', whole.explanation, [
  'winograd-f4',
  'winograd-f4-backward-input',
  'winograd-f4-backward-filter',
])
compare('winograd()', whole, direct.values)

// A plugin of one's own with a single kernel: what it does not bring, the backend's kernels run.
const single = { name: 'single', apiVersion: 1, requires: ['wasm'], kernels: [winogradF4 as never] } as const
const forward = await run({ use: [wasm({ threads: 2 }), single] })
expectKernels('winogradF4', forward.explanation, ['winograd-f4', 'wasm-convolution-backward-filter'])
compare('winogradF4', forward, direct.values)
