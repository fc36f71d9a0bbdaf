import { type OpCase, opInputs } from '../cases/op.ts'
import { adamwOptions } from '../cases/ops/adamw.ts'
import type { OpName } from '../cases/ops/definition.ts'
import { layerNormEpsilon } from '../cases/ops/layer-norm.ts'
import type { PreparedCase } from './implementation.ts'
import { joinOutputs } from './outputs.ts'

type Library = typeof import('@jax-js/jax')
type JaxArray = InstanceType<Library['numpy']['Array']>
type Program = (...inputs: JaxArray[]) => JaxArray[]

/** Ops of jax-js under `jit`. Its functions consume their arguments; `ref` keeps an array for another use. */
function programsOf({ grad, nn, numpy }: Library, benchmarkCase: OpCase): Readonly<Record<OpName, Program>> {
  /** Gradients of the first arguments of a function for a given gradient of its result, the last argument. */
  const pullBack = (forward: (...inputs: JaxArray[]) => JaxArray, count: number): Program => {
    const along = (...inputs: JaxArray[]): JaxArray =>
      forward(...inputs.slice(0, count))
        .mul(inputs[count]!)
        .sum()
    const positions = Array.from({ length: count }, (_, i) => i)
    return grad(along as never, { argnums: positions } as never) as unknown as Program
  }
  const layerNorm = (x: JaxArray, gain: JaxArray, bias: JaxArray): JaxArray =>
    nn.standardize(x, -1, { epsilon: layerNormEpsilon }).mul(gain).add(bias)
  // [heads, length, depth] there is [length, heads, depth] here.
  const turn = (x: JaxArray): JaxArray => numpy.transpose(x, [1, 0, 2])
  const attention = (query: JaxArray, key: JaxArray, value: JaxArray): JaxArray =>
    turn(nn.dotProductAttention(turn(query), turn(key), turn(value), { isCausal: true }))
  const wantsGradient = 'gradient' in benchmarkCase.sizes && benchmarkCase.sizes.gradient
  return {
    softmax: (x) => [nn.softmax(x!)],
    'layer-norm': wantsGradient
      ? pullBack(layerNorm as never, 3)
      : (...inputs) => [layerNorm(...(inputs as [never, never, never]))],
    'cross-entropy': (logits, targets) => {
      const loss = (x: JaxArray): JaxArray => {
        const hot = nn.oneHot(targets!, x.shape[1]!)
        return nn.logSoftmax(x, -1).mul(hot).sum().mul(-1)
      }
      return [(grad(loss as never) as unknown as (x: JaxArray) => JaxArray)(logits!)]
    },
    attention: wantsGradient
      ? pullBack(attention as never, 3)
      : (...inputs) => [attention(...(inputs as [never, never, never]))],
    adamw: (value, gradient, first, second) => {
      const { learningRate, beta1, beta2, epsilon, weightDecay } = adamwOptions
      const m = first!.mul(beta1).add(gradient!.ref.mul(1 - beta1))
      const v = second!.mul(beta2).add(gradient!.ref.mul(gradient!).mul(1 - beta2))
      const root = numpy.sqrt(v.ref.mul(1 / (1 - beta2 ** 3))).add(epsilon)
      const change = m.ref.mul(1 / (1 - beta1 ** 3)).div(root)
      return [value!.mul(1 - learningRate * weightDecay).sub(change.mul(learningRate)), m, v]
    },
    mlp: (x, y, ...weights) => {
      const loss = (...layers: JaxArray[]): JaxArray => {
        const out = layers.reduce((hidden, weight, layer) => {
          const product = numpy.matmul(hidden, weight)
          return layer < layers.length - 1 ? nn.relu(product) : product
        }, x!)
        const difference = out.sub(y!)
        return difference.ref.mul(difference).mean()
      }
      const positions = weights.map((_, i) => i)
      return (grad(loss as never, { argnums: positions } as never) as unknown as Program)(...weights)
    },
  }
}

export function prepareJaxJsOp(library: Library, benchmarkCase: OpCase): PreparedCase {
  const { jit, numpy } = library
  const inputs = opInputs(benchmarkCase).map(({ values, shape }) =>
    numpy.array(values as Float32Array<ArrayBuffer>).reshape([...shape]),
  )
  const program = jit(programsOf(library, benchmarkCase)[benchmarkCase.op] as never) as unknown as Program & {
    dispose(): void
  }
  const run = (): JaxArray[] => program(...inputs.map((input) => input.ref))
  return {
    async run() {
      for (const output of run()) {
        await output.blockUntilReady()
        output.dispose()
      }
    },
    output: async () =>
      joinOutputs(await Promise.all(run().map(async (output) => (await output.data()) as Float32Array))),
    dispose() {
      program.dispose()
      for (const input of inputs) input.dispose()
    },
  }
}
