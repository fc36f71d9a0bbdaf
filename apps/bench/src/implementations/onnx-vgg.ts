import type { InferenceSession } from 'onnxruntime-web'
import { type VggCase, vggOperands, vggResult } from '../cases/vgg.ts'
import type { PreparedCase } from './implementation.ts'
import { encodeOnnxModel, type OnnxNode } from './onnx-model.ts'

type Library = Pick<typeof import('onnxruntime-web'), 'InferenceSession' | 'Tensor'>

export async function prepareOnnxVgg(
  { InferenceSession, Tensor }: Library,
  benchmarkCase: VggCase,
  options: InferenceSession.SessionOptions,
): Promise<PreparedCase | undefined> {
  // Its inference runtimes go forward only.
  if (benchmarkCase.pass !== 'forward') return undefined
  const { image, imageShape, filters } = vggOperands(benchmarkCase)
  let last = 'x'
  const nodes: OnnxNode[] = []
  const apply = (op: string, others: string[], lists: OnnxNode['lists'] = {}): void => {
    const output = `v${nodes.length}`
    nodes.push({ op, inputs: [last, ...others], outputs: [output], lists })
    last = output
  }
  filters.forEach(({ endsBlock }, i) => {
    apply('Conv', [`w${i}`], { pads: [1, 1, 1, 1] })
    apply('Relu', [])
    if (endsBlock) apply('MaxPool', [], { kernel_shape: [2, 2], strides: [2, 2] })
  })
  const model = encodeOnnxModel({
    inputs: [{ name: 'x', shape: imageShape }],
    outputs: [{ name: last, shape: vggResult(benchmarkCase) }],
    constants: filters.map(({ values, shape }, i) => ({ name: `w${i}`, shape, values })),
    nodes,
  })
  const session = await InferenceSession.create(model, options)
  const feeds = { x: new Tensor('float32', image, [...imageShape]) }
  return {
    async run() {
      await session.run(feeds)
    },
    output: async () => (await session.run(feeds))[last]!.data as Float32Array,
    dispose: () => session.release(),
  }
}
