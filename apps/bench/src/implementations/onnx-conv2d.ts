import type { InferenceSession } from 'onnxruntime-web'
import { type Conv2dCase, conv2dOperands, paddingOf } from '../cases/conv2d.ts'
import type { PreparedCase } from './implementation.ts'
import { encodeOnnxModel } from './onnx-model.ts'

type Library = Pick<typeof import('onnxruntime-web'), 'InferenceSession' | 'Tensor'>

/** ONNX has operators for inference: no gradients. The filters are constants of the model. */
export async function prepareOnnxConv2d(
  { InferenceSession, Tensor }: Library,
  benchmarkCase: Conv2dCase,
  options: InferenceSession.SessionOptions,
): Promise<PreparedCase | undefined> {
  if (benchmarkCase.pass !== 'forward') return undefined
  const { shapes, input, filter } = conv2dOperands(benchmarkCase)
  const [low, high] = paddingOf(benchmarkCase)
  const model = encodeOnnxModel({
    inputs: [{ name: 'x', shape: shapes.input }],
    outputs: [{ name: 'y', shape: shapes.error }],
    constants: [{ name: 'w', shape: shapes.filter, values: filter }],
    nodes: [
      {
        op: 'Conv',
        inputs: ['x', 'w'],
        outputs: ['y'],
        lists: { pads: [low, low, high, high], strides: [benchmarkCase.stride, benchmarkCase.stride] },
      },
    ],
  })
  const session = await InferenceSession.create(model, options)
  const feeds = { x: new Tensor('float32', input, [...shapes.input]) }
  return {
    async run() {
      await session.run(feeds)
    },
    output: async () => (await session.run(feeds)).y!.data as Float32Array,
    dispose: () => session.release(),
  }
}
