import { batchCount, checkedSteps, type GptStepCase, gptBatch, gptParameters } from '../cases/gpt-step.ts'
import type { PreparedCase } from './implementation.ts'

type Library = typeof import('@jax-js/jax')
type JaxArray = InstanceType<Library['numpy']['Array']>
type Named = Record<string, JaxArray>

/** Weights and their two moments. Functions of jax-js consume arrays; `ref` keeps one for another use. */
interface State {
  readonly values: Named
  readonly first: Named
  readonly second: Named
}

/** jax-js' training step under `jit`; tokens are looked up by products with rows of zeros and a one. */
export function prepareJaxJsGptStep(library: Library, benchmarkCase: GptStepCase): PreparedCase {
  const { jit, nn, numpy, valueAndGrad } = library
  const { batch, context, vocabulary, learningRate, betas, epsilon, weightDecay, clipNorm } = benchmarkCase
  const parameters = gptParameters(benchmarkCase)
  const named = (of: (parameter: (typeof parameters)[number]) => JaxArray): Named =>
    Object.fromEntries(parameters.map((parameter) => [parameter.name, of(parameter)]))
  const zeros = ({ shape }: { shape: readonly number[] }): JaxArray => numpy.zeros([...shape])
  let state: State = {
    values: named(({ values, shape }) => numpy.array(values as Float32Array<ArrayBuffer>).reshape([...shape])),
    first: named(zeros),
    second: named(zeros),
  }
  const hot = (numbers: Int32Array): JaxArray =>
    nn.oneHot(numpy.array(numbers as Int32Array<ArrayBuffer>), vocabulary).astype(numpy.float32)
  const batches = Array.from({ length: batchCount }, (_, index) => {
    const { tokens, targets } = gptBatch(benchmarkCase, index)
    return { tokens: hot(tokens), targets: hot(targets) }
  })

  const loss = (values: Named, tokens: JaxArray, targets: JaxArray): JaxArray =>
    nn
      .logSoftmax(logits(library, benchmarkCase, values, tokens), -1)
      .mul(targets)
      .sum()
      .mul(-1 / (batch * context))
  const update = (
    { values, first, second }: State,
    tokens: JaxArray,
    targets: JaxArray,
    corrections: JaxArray,
  ): [JaxArray, State] => {
    const kept = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, value.ref]))
    const [value, gradients] = valueAndGrad(loss)(kept, tokens, targets) as unknown as [JaxArray, Named]
    const squares = Object.values(gradients).map((gradient) => numpy.square(gradient.ref).sum())
    const norm = numpy.sqrt(squares.reduce((sum, square) => sum.add(square)))
    const scale = numpy.minimum(numpy.reciprocal(norm.add(1e-6)).mul(clipNorm), 1)
    const next: State = { values: {}, first: {}, second: {} }
    const [beta1, beta2] = betas
    for (const { name, shape } of parameters) {
      const gradient = gradients[name]!.mul(scale.ref)
      const m = first[name]!.mul(beta1).add(gradient.ref.mul(1 - beta1))
      const v = second[name]!.mul(beta2).add(numpy.square(gradient).mul(1 - beta2))
      const root = numpy.sqrt(v.ref.mul(corrections.ref.slice(1))).add(epsilon)
      const change = m.ref.mul(corrections.ref.slice(0)).div(root)
      const decay = shape.length >= 2 ? 1 - learningRate * weightDecay : 1
      next.values[name] = values[name]!.mul(decay).sub(change.mul(learningRate))
      next.first[name] = m
      next.second[name] = v
    }
    scale.dispose()
    corrections.dispose()
    return [value, next]
  }
  const compiled = jit(update as never) as unknown as typeof update & { dispose(): void }
  let steps = 0
  const step = (): JaxArray => {
    const { tokens, targets } = batches[steps++ % batchCount]!
    const corrections = numpy.array(Float32Array.from(betas, (beta) => 1 / (1 - beta ** steps)))
    const [value, next] = compiled(state, tokens.ref, targets.ref, corrections)
    state = next
    return value
  }
  return {
    async run() {
      const value = step()
      await value.blockUntilReady()
      value.dispose()
      for (const each of Object.values(state.values)) await each.blockUntilReady()
    },
    async output() {
      const losses = new Float32Array(checkedSteps)
      for (let index = 0; index < checkedSteps; index++) losses[index] = (await step().data())[0]!
      return losses
    },
    dispose() {
      compiled.dispose()
      for (const group of Object.values(state)) for (const each of Object.values(group as Named)) each.dispose()
      for (const { tokens, targets } of batches) for (const each of [tokens, targets]) each.dispose()
    },
  }
}

/** Rows of zeros and a one [batch · context, vocabulary] to logits of the same shape. */
function logits(
  { lax, nn, numpy }: Library,
  { layers, heads, batch, context, width }: GptStepCase,
  values: Named,
  tokens: JaxArray,
): JaxArray {
  const named = (name: string): JaxArray => values[`transformer.${name}.weight`]!
  const linear = (x: JaxArray, weight: JaxArray): JaxArray => numpy.matmul(x, numpy.transpose(weight))
  const normalize = (x: JaxArray, gain: JaxArray): JaxArray => nn.standardize(x, -1, { epsilon: 1e-5 }).mul(gain)
  const embedded = numpy.matmul(tokens, named('wte').ref).reshape([batch, context, width])
  let x = embedded.add(named('wpe')).reshape([batch * context, width])
  for (let layer = 0; layer < layers; layer++) {
    const block = (name: string): JaxArray => named(`h.${layer}.${name}`)
    const projected = linear(normalize(x.ref, block('ln_1')), block('attn.c_attn'))
    const [query, key, value] = numpy
      .split(projected, 3, 1)
      .map((part) => part.reshape([batch, context, heads, width / heads])) as [JaxArray, JaxArray, JaxArray]
    const mixed = nn.dotProductAttention(query, key, value, { isCausal: true }).reshape([batch * context, width])
    x = x.add(linear(mixed, block('attn.c_proj')))
    const hidden = linear(normalize(x.ref, block('ln_2')), block('mlp.c_fc'))
    const activated = hidden.ref.mul(0.5).mul(lax.erf(hidden.mul(Math.SQRT1_2)).add(1))
    x = x.add(linear(activated, block('mlp.c_proj')))
  }
  return linear(normalize(x, named('ln_f')), named('wte'))
}
