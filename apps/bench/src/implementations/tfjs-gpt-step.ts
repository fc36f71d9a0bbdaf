import { batchCount, checkedSteps, type GptStepCase, gptBatch, gptParameters } from '../cases/gpt-step.ts'
import type { PreparedCase } from './implementation.ts'

type Library = typeof import('@tensorflow/tfjs-core')
type TfTensor = ReturnType<Library['tensor']>

/** TensorFlow.js' training step, put together from its ops; tokens are looked up by products with rows of zeros and a one, whose gradients it has. */
export function prepareTfjsGptStep(tf: Library, benchmarkCase: GptStepCase): PreparedCase {
  const { batch, context, vocabulary, learningRate, betas, epsilon, weightDecay, clipNorm } = benchmarkCase
  const parameters = gptParameters(benchmarkCase)
  const model = new Model(
    tf,
    benchmarkCase,
    parameters.map(({ name }) => name),
  )
  let values = parameters.map(({ values, shape }) => tf.tensor(values, [...shape]))
  let first = parameters.map(({ shape }) => tf.zeros([...shape]))
  let second = parameters.map(({ shape }) => tf.zeros([...shape]))
  const hot = (numbers: Int32Array): TfTensor => tf.oneHot(tf.tensor1d(numbers, 'int32'), vocabulary).cast('float32')
  const batches = Array.from({ length: batchCount }, (_, index) => {
    const { tokens, targets } = gptBatch(benchmarkCase, index)
    return { tokens: hot(tokens), targets: hot(targets) }
  })
  let steps = 0
  const step = (): TfTensor => {
    const { tokens, targets } = batches[steps++ % batchCount]!
    const old = [...values, ...first, ...second]
    const loss = (...weights: TfTensor[]): TfTensor =>
      tf.mul(tf.sum(tf.mul(tf.logSoftmax(model.logits(weights, tokens)), targets)), -1 / (batch * context))
    const result = tf.tidy(() => {
      const { value, grads } = tf.valueAndGrads(loss as never)(values)
      const norm = tf.sqrt(tf.addN(grads.map((gradient) => tf.sum(tf.square(gradient)))))
      const scale = tf.minimum(tf.div(clipNorm, tf.add(norm, 1e-6)), 1)
      const [beta1, beta2] = betas
      const updated = values.map((weight, index) => {
        const gradient = tf.mul(grads[index]!, scale)
        const m = tf.add(tf.mul(first[index]!, beta1), tf.mul(gradient, 1 - beta1))
        const v = tf.add(tf.mul(second[index]!, beta2), tf.mul(tf.square(gradient), 1 - beta2))
        const root = tf.add(tf.sqrt(tf.div(v, 1 - beta2 ** steps)), epsilon)
        const change = tf.div(tf.div(m, 1 - beta1 ** steps), root)
        const decayed = weight.rank >= 2 ? tf.mul(weight, 1 - learningRate * weightDecay) : weight
        return { weight: tf.sub(decayed, tf.mul(change, learningRate)), m, v }
      })
      return { value: value as TfTensor, updated }
    })
    tf.dispose(old)
    values = result.updated.map(({ weight }) => weight)
    first = result.updated.map(({ m }) => m)
    second = result.updated.map(({ v }) => v)
    return result.value
  }
  return {
    run: () => step().dispose(),
    async output() {
      const losses = new Float32Array(checkedSteps)
      for (let index = 0; index < checkedSteps; index++) {
        const loss = step()
        losses[index] = (await loss.data())[0]!
        loss.dispose()
      }
      return losses
    },
    dispose() {
      tf.dispose([...values, ...first, ...second, ...batches.flatMap(({ tokens, targets }) => [tokens, targets])])
    },
  }
}

class Model {
  readonly #tf: Library
  readonly #case: GptStepCase
  readonly #places: ReadonlyMap<string, number>
  /** [context, context]: what a position may see. */
  readonly #seen: TfTensor

  constructor(tf: Library, benchmarkCase: GptStepCase, names: readonly string[]) {
    this.#tf = tf
    this.#case = benchmarkCase
    this.#places = new Map(names.map((name, index) => [name, index]))
    const { context } = benchmarkCase
    this.#seen = tf.cast(tf.linalg.bandPart(tf.ones([context, context]), -1, 0), 'bool')
  }

  /** Rows of zeros and a one [batch · context, vocabulary] to logits of the same shape. */
  logits(weights: readonly TfTensor[], tokens: TfTensor): TfTensor {
    const tf = this.#tf
    const { layers, batch, context, width } = this.#case
    const named = (name: string): TfTensor => weights[this.#places.get(`transformer.${name}.weight`)!]!
    const embedded = tf.reshape(tf.matMul(tokens as never, named('wte') as never), [batch, context, width])
    let x = tf.reshape(tf.add(embedded, named('wpe')), [batch * context, width])
    for (let layer = 0; layer < layers; layer++) {
      const block = (name: string): TfTensor => named(`h.${layer}.${name}`)
      const mixed = this.#attention(this.#linear(this.#normalize(x, block('ln_1')), block('attn.c_attn')))
      x = tf.add(x, this.#linear(mixed, block('attn.c_proj')))
      const hidden = this.#linear(this.#normalize(x, block('ln_2')), block('mlp.c_fc'))
      const activated = tf.mul(tf.mul(hidden, 0.5), tf.add(tf.erf(tf.mul(hidden, Math.SQRT1_2)), 1))
      x = tf.add(x, this.#linear(activated, block('mlp.c_proj')))
    }
    return this.#linear(this.#normalize(x, named('ln_f')), named('wte'))
  }

  #linear(x: TfTensor, weight: TfTensor): TfTensor {
    return this.#tf.matMul(x as never, weight as never, false, true)
  }

  #normalize(x: TfTensor, gain: TfTensor): TfTensor {
    const tf = this.#tf
    const { mean, variance } = tf.moments(x, -1, true)
    return tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-5))), gain)
  }

  #attention(projected: TfTensor): TfTensor {
    const tf = this.#tf
    const { batch, context, width, heads } = this.#case
    const size = width / heads
    const [query, key, value] = tf
      .split(projected, 3, 1)
      .map((part) => tf.transpose(tf.reshape(part, [batch, context, heads, size]), [0, 2, 1, 3])) as [
      TfTensor,
      TfTensor,
      TfTensor,
    ]
    const scores = tf.mul(tf.matMul(query as never, key as never, false, true), 1 / Math.sqrt(size))
    const weights = tf.softmax(tf.where(this.#seen, scores, -1e9))
    const mixed = tf.transpose(tf.matMul(weights as never, value as never), [0, 2, 1, 3])
    return tf.reshape(mixed, [batch * context, width])
  }
}
