import { type OpCase, opInputs } from '../cases/op.ts'
import { adamwOptions } from '../cases/ops/adamw.ts'
import type { OpName } from '../cases/ops/definition.ts'
import { layerNormEpsilon } from '../cases/ops/layer-norm.ts'
import type { PreparedCase } from './implementation.ts'
import { joinOutputs } from './outputs.ts'

type Library = typeof import('@tensorflow/tfjs-core')
type TfTensor = ReturnType<Library['tensor']>
type Program = (inputs: TfTensor[]) => TfTensor[]

/** Ops of TensorFlow.js, put together from what it has where it has none of that name; gradients are its own. */
function programsOf(tf: Library): Readonly<Record<OpName, Program>> {
  const layerNorm = (x: TfTensor, gain: TfTensor, bias: TfTensor): TfTensor => {
    const { mean, variance } = tf.moments(x, -1, true)
    return tf.add(tf.mul(tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, layerNormEpsilon))), gain), bias)
  }
  const attention = (query: TfTensor, key: TfTensor, value: TfTensor): TfTensor => {
    const [, length, depth] = query.shape as [number, number, number]
    const scores = tf.mul(tf.matMul(query as never, key as never, false, true), 1 / Math.sqrt(depth))
    const mask = tf.linalg.bandPart(tf.ones([length, length]), -1, 0)
    return tf.matMul(tf.softmax(tf.where(tf.cast(mask, 'bool'), scores, -1e9)), value as never)
  }
  return {
    softmax: ([x]) => [tf.softmax(x!)],
    'layer-norm': ([x, gain, bias, upstream]) =>
      upstream ? tf.grads(layerNorm as never)([x!, gain!, bias!], upstream) : [layerNorm(x!, gain!, bias!)],
    'cross-entropy': ([logits, targets]) => {
      const classes = logits!.shape[1]!
      const hot = tf.oneHot(tf.cast(targets!, 'int32'), classes)
      return [tf.grad((x) => tf.neg(tf.sum(tf.mul(tf.logSoftmax(x), hot))))(logits!)]
    },
    attention: ([query, key, value, upstream]) =>
      upstream ? tf.grads(attention as never)([query!, key!, value!], upstream) : [attention(query!, key!, value!)],
    adamw: ([value, gradient, first, second]) => {
      const { learningRate, beta1, beta2, epsilon, weightDecay } = adamwOptions
      const m = tf.add(tf.mul(first!, beta1), tf.mul(gradient!, 1 - beta1))
      const v = tf.add(tf.mul(second!, beta2), tf.mul(tf.square(gradient!), 1 - beta2))
      const change = tf.div(tf.div(m, 1 - beta1 ** 3), tf.add(tf.sqrt(tf.div(v, 1 - beta2 ** 3)), epsilon))
      return [tf.sub(tf.mul(value!, 1 - learningRate * weightDecay), tf.mul(change, learningRate)), m, v]
    },
    mlp: ([x, y, ...weights]) => {
      const loss = (...layers: TfTensor[]): TfTensor => {
        const out = layers.reduce((hidden, weight, layer) => {
          const product = tf.matMul(hidden as never, weight as never)
          return layer < layers.length - 1 ? tf.relu(product) : product
        }, x!)
        return tf.mean(tf.squaredDifference(out, y!))
      }
      return tf.grads(loss as never)(weights)
    },
  }
}

export function prepareTfjsOp(tf: Library, benchmarkCase: OpCase): PreparedCase {
  const inputs = opInputs(benchmarkCase).map(({ values, shape }) =>
    tf.tensor(values, [...shape], values instanceof Int32Array ? 'int32' : 'float32'),
  )
  const program = programsOf(tf)[benchmarkCase.op]
  const run = (): TfTensor[] => tf.tidy(() => program(inputs))
  return {
    run: () => tf.dispose(run()),
    async output() {
      const outputs = run()
      const values = await Promise.all(outputs.map((output) => output.data()))
      tf.dispose(outputs)
      return joinOutputs(values)
    },
    dispose: () => tf.dispose(inputs),
  }
}
