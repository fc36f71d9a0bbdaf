import { type VggCase, vggOperands } from '../cases/vgg.ts'
import type { PreparedCase } from './implementation.ts'

type Library = typeof import('@tensorflow/tfjs-core')

/** TensorFlow.js computes on channels last; its WASM backend has no gradient to filters, so it goes forward only. */
export function prepareTfjsVgg(tf: Library, benchmarkCase: VggCase): PreparedCase | undefined {
  if (benchmarkCase.pass !== 'forward') return undefined
  const { image, imageShape, filters } = vggOperands(benchmarkCase)
  const input = tf.tidy(() => tf.transpose(tf.tensor4d(image, [...imageShape]), [0, 2, 3, 1]))
  const weights = filters.map(({ values, shape }) =>
    tf.tidy(() => tf.transpose(tf.tensor4d(values, [...shape]), [2, 3, 1, 0])),
  )
  const run = () =>
    tf.tidy(() =>
      weights.reduce((x, filter, i) => {
        const next = tf.fused.conv2d({ x, filter: filter as typeof input, strides: 1, pad: 'same', activation: 'relu' })
        return (filters[i]!.endsBlock ? tf.maxPool(next, 2, 2, 'valid') : next) as typeof input
      }, input),
    )
  return {
    run: () => run().dispose(),
    async output() {
      const result = tf.tidy(() => tf.transpose(run(), [0, 3, 1, 2]))
      const values = (await result.data()) as Float32Array
      result.dispose()
      return values
    },
    dispose: () => tf.dispose([input, ...weights]),
  }
}
