import type { ConvolutionGeometry } from '../graph/compounds/convolution.ts'
import type { TypedArray } from '../graph/format.ts'
import { sizeOf } from '../graph/shape.ts'
import { rowMajorView } from '../graph/view.ts'
import type { convolutionReferences } from './convolution.ts'
import type { ProgramBuilder } from './programs.ts'
import { type Random, randomStorage } from './random.ts'
import type { KernelTestCall } from './test-kernel.ts'

/** A convolution to test with: by default with stride and dilation of 1, no padding, and one group. */
export interface ConvolutionCase {
  readonly input: readonly number[]
  readonly filter: readonly number[]
  readonly stride?: readonly number[]
  readonly padding?: ConvolutionGeometry['padding']
  readonly dilation?: readonly number[]
  readonly groups?: number
}

const around = (count: number, rank = 2) => new Array<[number, number]>(rank).fill([count, count])

/** More columns, rows and channels than a tile or a block has, odd numbers of them, and every option alone and together. */
export const convolutionCases: Readonly<Record<string, ConvolutionCase>> = {
  '3 × 3': { input: [2, 5, 9, 11], filter: [7, 5, 3, 3], padding: around(1) },
  'one element': { input: [1, 1, 1, 1], filter: [1, 1, 1, 1] },
  'many channels': { input: [1, 70, 7, 6], filter: [130, 70, 3, 3], padding: around(1) },
  'many positions': { input: [1, 3, 37, 41], filter: [9, 3, 3, 3], padding: around(1) },
  '1 × 1': { input: [3, 33, 5, 4], filter: [17, 33, 1, 1] },
  'stride 2': { input: [2, 4, 12, 9], filter: [6, 4, 3, 3], stride: [2, 2], padding: around(1) },
  'stride beyond the filter': { input: [1, 3, 11, 10], filter: [5, 3, 2, 1], stride: [3, 4] },
  'dilation, uneven padding': {
    input: [1, 4, 10, 8],
    filter: [8, 4, 3, 2],
    dilation: [2, 3],
    padding: [
      [3, 1],
      [0, 2],
    ],
  },
  'stride with dilation': {
    input: [2, 3, 13, 14],
    filter: [4, 3, 3, 3],
    stride: [2, 3],
    dilation: [3, 2],
    padding: around(2),
  },
  groups: { input: [2, 12, 6, 7], filter: [9, 4, 3, 3], groups: 3, padding: around(1) },
  depthwise: { input: [2, 10, 8, 9], filter: [10, 1, 3, 3], groups: 10, padding: around(1), stride: [2, 1] },
  'depthwise with a multiplier': { input: [1, 3, 7, 20], filter: [12, 1, 5, 3], groups: 3, padding: around(2) },
  'filter as large as the image': { input: [2, 3, 5, 6], filter: [10, 3, 5, 6] },
  '1-D': { input: [3, 6, 50], filter: [11, 6, 5], stride: [2], padding: [[4, 2]] },
  '1-D, a long filter': { input: [1, 2, 700], filter: [3, 2, 301], dilation: [2], padding: [[9, 0]] },
  '3-D': { input: [1, 3, 5, 6, 7], filter: [8, 3, 3, 2, 3], stride: [1, 2, 1], padding: around(1, 3) },
}

/** Writes what follows the result of a call, of shape `[images, channels, ...spatial]`, and gives the contents of its operands. */
export type ConvolutionEpilogue = (
  program: ProgramBuilder,
  call: (shape: readonly number[], write: Parameters<ProgramBuilder['callThen']>[4]) => void,
  shape: readonly number[],
  random: Random,
) => TypedArray[]

export const convolutionEpilogues: Readonly<Record<string, ConvolutionEpilogue>> = {
  'bias, ReLU, residual, and the result itself': (program, call, shape, random) => {
    const bias = program.input('f32', [1, shape[1]!, ...shape.slice(2).map(() => 1)])
    const residual = program.input('f32', shape)
    const [output, plain] = [program.output('f32', shape), program.output('f32', shape)]
    call(shape, (body, result) => {
      const biased = body.compute('add', result, body.load(bias))
      body.store(output, body.compute('add', body.compute('maximum', biased, body.constant(0)), body.load(residual)))
      body.store(plain, result)
    })
    return [randomStorage(random, 'f32', shape[1]!), randomStorage(random, 'f32', sizeOf(shape))]
  },
  'a scale for each image, a counter': (program, call, shape, random) => {
    const scale = program.input('f32', [shape[0]!, ...shape.slice(1).map(() => 1)])
    const output = program.output('f32', shape)
    const strides = rowMajorView(shape).strides.map((stride, axis) => (shape[axis] === 1 ? 0 : stride))
    call(shape, (body, result) => {
      const index = body.cast(body.iota(strides), 'f32')
      const small = body.compute('multiply', index, body.constant(1 / sizeOf(shape)))
      body.store(output, body.compute('add', body.compute('multiply', result, body.load(scale)), small))
    })
    return [randomStorage(random, 'f32', shape[0]!)]
  },
}

/** A call of an op with random operands. */
export function convolutionCall(
  op: keyof typeof convolutionReferences,
  name: string,
  { input, filter, ...options }: ConvolutionCase,
  follow?: ConvolutionEpilogue,
): KernelTestCall {
  const rank = input.length - 2
  const ones = new Array<number>(rank).fill(1)
  const { stride = ones, dilation = ones, padding = around(0, rank), groups = 1 } = options
  const geometry = { stride, dilation, padding, groups }
  const positions = ones.map((_, i) => {
    const reach = dilation[i]! * (filter[i + 2]! - 1) + 1
    return Math.floor((input[i + 2]! + padding[i]![0] + padding[i]![1] - reach) / stride[i]!) + 1
  })
  const output = [input[0]!, filter[0]!, ...positions]
  const shapes = {
    convolution: [input, filter, output],
    convolutionBackwardInput: [output, filter, input],
    convolutionBackwardFilter: [input, output, filter],
  } as const
  const [first, second, result] = shapes[op]
  const attributes = {
    convolution: geometry,
    convolutionBackwardInput: { ...geometry, extents: input.slice(2) },
    convolutionBackwardFilter: { ...geometry, window: filter.slice(2) },
  }
  const terms = {
    convolution: sizeOf(filter.slice(1)),
    convolutionBackwardInput: (filter[0]! / groups) * sizeOf(filter.slice(2)),
    convolutionBackwardFilter: input[0]! * sizeOf(positions),
  }
  return {
    name,
    scale: Math.sqrt(terms[op]),
    write: (program, random) => {
      const inputs = [first, second].map((shape) => program.input('f32', shape))
      const values = [first, second].map((shape): TypedArray => randomStorage(random, 'f32', sizeOf(shape)))
      if (!follow) program.call(op, attributes[op] as never, inputs, [program.output('f32', result)])
      else {
        const call: Parameters<ConvolutionEpilogue>[1] = (shape, write) =>
          program.callThen(op, attributes[op] as never, inputs, { shape }, write)
        values.push(...follow(program, call, result, random))
      }
      return values
    },
  }
}
