import type { InferenceSession } from 'onnxruntime-web'
import { type OpCase, opInputs } from '../cases/op.ts'
import { layerNormEpsilon } from '../cases/ops/layer-norm.ts'
import type { PreparedCase } from './implementation.ts'
import { encodeOnnxModel, type OnnxNode } from './onnx-model.ts'

type Library = Pick<typeof import('onnxruntime-web'), 'InferenceSession' | 'Tensor'>

interface Graph {
  readonly nodes: readonly OnnxNode[]
  /** Constants that are fed as operands, after those of the case. */
  readonly constants?: readonly { readonly shape: readonly number[]; readonly values: Float32Array }[]
}

/** ONNX has operators for inference: no gradients, no optimizer. Operands are called x0, x1, …, the result y. */
function graphOf(benchmarkCase: OpCase): Graph | undefined {
  switch (benchmarkCase.op) {
    case 'softmax':
      return { nodes: [{ op: 'Softmax', inputs: ['x0'], outputs: ['y'], integers: { axis: -1 } }] }
    case 'layer-norm': {
      if (benchmarkCase.sizes.gradient) return undefined
      const attributes = { integers: { axis: -1 }, floats: { epsilon: layerNormEpsilon } }
      return { nodes: [{ op: 'LayerNormalization', inputs: ['x0', 'x1', 'x2'], outputs: ['y'], ...attributes }] }
    }
    case 'attention': {
      const { length, depth, gradient } = benchmarkCase.sizes
      if (gradient) return undefined
      const mask = Float32Array.from({ length: length * length }, (_, i) => (i % length > i / length ? -1e9 : 0))
      return {
        constants: [
          { shape: [1], values: Float32Array.of(1 / Math.sqrt(depth)) },
          { shape: [length, length], values: mask },
        ],
        nodes: [
          { op: 'Transpose', inputs: ['x1'], outputs: ['turned'], lists: { perm: [0, 2, 1] } },
          { op: 'MatMul', inputs: ['x0', 'turned'], outputs: ['products'] },
          { op: 'Mul', inputs: ['products', 'x3'], outputs: ['scaled'] },
          { op: 'Add', inputs: ['scaled', 'x4'], outputs: ['masked'] },
          { op: 'Softmax', inputs: ['masked'], outputs: ['shares'], integers: { axis: -1 } },
          { op: 'MatMul', inputs: ['shares', 'x2'], outputs: ['y'] },
        ],
      }
    }
    default:
      return undefined
  }
}

export async function prepareOnnxOp(
  { InferenceSession, Tensor }: Library,
  benchmarkCase: OpCase,
  options: InferenceSession.SessionOptions,
): Promise<PreparedCase | undefined> {
  const graph = graphOf(benchmarkCase)
  if (!graph) return undefined
  const operands = [...opInputs(benchmarkCase), ...(graph.constants ?? [])]
  const model = encodeOnnxModel({
    inputs: operands.map(({ shape }, index) => ({ name: `x${index}`, shape })),
    outputs: [{ name: 'y', shape: operands[0]!.shape }],
    nodes: graph.nodes,
  })
  const session = await InferenceSession.create(model, options)
  const feeds = Object.fromEntries(
    operands.map(({ shape, values }, index) => [
      `x${index}`,
      new Tensor('float32', values as Float32Array, [...shape]),
    ]),
  )
  return {
    async run() {
      await session.run(feeds)
    },
    output: async () => (await session.run(feeds)).y!.data as Float32Array,
    dispose: () => session.release(),
  }
}
