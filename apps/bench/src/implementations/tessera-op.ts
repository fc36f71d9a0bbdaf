import { attention, crossEntropyLosses, jit, layerNorm, type Runtime, type Tensor, tensor, vjp } from '@tessera/core'
import { meanSquaredError } from '@tessera/nn'
import { type OpCase, opInputs } from '../cases/op.ts'
import { adamwOptions } from '../cases/ops/adamw.ts'
import type { OpName, OpSizes } from '../cases/ops/definition.ts'
import { layerNormEpsilon } from '../cases/ops/layer-norm.ts'
import type { PreparedCase } from './implementation.ts'
import { joinOutputs } from './outputs.ts'

type Programs = { readonly [Op in OpName]: (inputs: Tensor[], sizes: OpSizes[Op]) => Tensor[] }

/** Each op as one traced function of its operands. */
const programs: Programs = {
  softmax: ([x]) => [x!.softmax()],
  'layer-norm': ([x, gain, bias, upstream]) => {
    const forward = (...inputs: Tensor[]): Tensor => layerNorm(inputs[0]!, inputs[1], inputs[2], layerNormEpsilon)
    return upstream ? vjp(forward, x!, gain!, bias!).pullback(upstream) : [forward(x!, gain!, bias!)]
  },
  'cross-entropy': ([logits, targets]) => {
    const { value, pullback } = vjp((x) => crossEntropyLosses(x!, targets!).sum(), logits!)
    return pullback(value.multiply(0).add(1))
  },
  attention: ([query, key, value, upstream]) => {
    const forward = (...inputs: Tensor[]): Tensor => attention(inputs[0]!, inputs[1]!, inputs[2]!, { causal: true })
    return upstream ? vjp(forward, query!, key!, value!).pullback(upstream) : [forward(query!, key!, value!)]
  },
  adamw: ([value, gradient, first, second]) => {
    const { learningRate, beta1, beta2, epsilon, weightDecay } = adamwOptions
    const m = first!.multiply(beta1).add(gradient!.multiply(1 - beta1))
    const v = second!.multiply(beta2).add(gradient!.square().multiply(1 - beta2))
    const change = m.multiply(1 / (1 - beta1 ** 3)).divide(
      v
        .multiply(1 / (1 - beta2 ** 3))
        .sqrt()
        .add(epsilon),
    )
    return [value!.multiply(1 - learningRate * weightDecay).subtract(change.multiply(learningRate)), m, v]
  },
  mlp: ([x, y, ...weights]) => {
    const loss = (...layers: Tensor[]): Tensor => {
      const out = layers.reduce((hidden, weight, layer) => {
        const product = hidden.matmul(weight)
        return layer < layers.length - 1 ? product.relu() : product
      }, x!)
      return meanSquaredError(out, y!)
    }
    const { value, pullback } = vjp(loss, ...weights)
    return pullback(value.multiply(0).add(1))
  },
}

export function prepareOp(runtime: Runtime, benchmarkCase: OpCase): PreparedCase {
  const { op, sizes } = benchmarkCase
  const inputs = opInputs(benchmarkCase).map(({ values, shape }) => tensor(values, shape).realize())
  const program = programs[op] as (inputs: Tensor[], sizes: OpSizes[OpName]) => Tensor[]
  const run = jit((operands: Tensor[]) => program(operands, sizes))
  return {
    run() {
      for (const output of run(inputs)) output.dispose()
    },
    settle: () => runtime.synchronize(),
    async output() {
      const outputs = run(inputs)
      const values = await Promise.all(outputs.map((output) => output.data()))
      for (const output of outputs) output.dispose()
      return joinOutputs(values)
    },
    dispose() {
      for (const input of inputs) input.dispose()
    },
  }
}
