import { type Conv2dCase, conv2dOperands } from '../cases/conv2d.ts'
import type { PreparedCase } from './implementation.ts'

type Library = typeof import('@tensorflow/tfjs-core')

/** TensorFlow.js computes on channels last, which is what its tensors are made in; its WASM backend has no gradient to filters. */
export function prepareTfjsConv2d(tf: Library, benchmarkCase: Conv2dCase): PreparedCase | undefined {
  const { pass, stride } = benchmarkCase
  if (pass === 'backward-filter') return undefined
  const { shapes, input, filter, error } = conv2dOperands(benchmarkCase)
  const channelsLast = (values: Float32Array, shape: readonly [number, number, number, number]) =>
    tf.tidy(() => tf.transpose(tf.tensor4d(values, [...shape]), [0, 2, 3, 1]))
  const x = channelsLast(input, shapes.input)
  const g = channelsLast(error, shapes.error)
  const w = tf.tidy(() => tf.transpose(tf.tensor4d(filter, [...shapes.filter]), [2, 3, 1, 0]))
  const run = () =>
    pass === 'forward'
      ? tf.conv2d(x, w, stride, 'same')
      : tf.conv2dTranspose(g, w, [x.shape[0], x.shape[1], x.shape[2], x.shape[3]], stride, 'same')
  return {
    run: () => run().dispose(),
    async output() {
      const result = tf.tidy(() => tf.transpose(run(), [0, 3, 1, 2]))
      const values = (await result.data()) as Float32Array
      result.dispose()
      return values
    },
    dispose: () => tf.dispose([x, g, w]),
  }
}
