import type { Backend, ConvolutionGeometry, Kernel, SelectedProgram, TypedArray } from '@tessera/core'
import {
  conv2d,
  createRuntime,
  grad,
  jit,
  randomKey,
  randomNormal,
  rowMajorView,
  sizeOf,
  type Tensor,
} from '@tessera/core'
import {
  convolutionReferences,
  type KernelTestCall,
  type ProgramBuilder,
  type Random,
  randomStorage,
  testKernel,
} from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { WasmDevice } from '../../device/device.ts'
import { Machine } from '../../device/machine.ts'
import { canEnableRevectorizer, supportsThreads, type Variant, variants } from '../../variant.ts'
import { wasm } from '../../wasm.ts'
import { convolutionBackwardFilterKernel, convolutionBackwardInputKernel, convolutionKernel } from './index.ts'

interface Case {
  readonly input: readonly number[]
  readonly filter: readonly number[]
  readonly stride?: readonly number[]
  readonly padding?: ConvolutionGeometry['padding']
  readonly dilation?: readonly number[]
  readonly groups?: number
}

const around = (count: number, rank = 2) => new Array<[number, number]>(rank).fill([count, count])

/** More columns, rows and channels than a tile or a block has, odd numbers of them, and every option alone and together. */
const cases: Record<string, Case> = {
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
type Follow = (
  program: ProgramBuilder,
  call: (shape: readonly number[], write: Parameters<ProgramBuilder['callThen']>[4]) => void,
  shape: readonly number[],
  random: Random,
) => TypedArray[]

const residual = 'bias, ReLU, residual, and the result itself'
const epilogues: Record<string, Follow> = {
  [residual]: (program, call, shape, random) => {
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

function callOf(
  op: keyof typeof convolutionReferences,
  name: string,
  { input, filter, ...options }: Case,
  follow?: Follow,
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
        const call: Parameters<Follow>[1] = (shape, write) =>
          program.callThen(op, attributes[op] as never, inputs, { shape }, write)
        values.push(...follow(program, call, result, random))
      }
      return values
    },
  }
}

/** Calls with epilogues, by turns the first and the second one. */
function followed(op: keyof typeof convolutionReferences): KernelTestCall[] {
  if (op === 'convolutionBackwardFilter') return []
  const strided = ['stride 2', 'stride with dilation']
  const names = ['3 × 3', 'one element', 'many channels', 'many positions', '1 × 1', 'groups', '1-D', '3-D'].concat(
    'dilation, uneven padding',
    'depthwise with a multiplier',
    op === 'convolution' ? strided : [],
  )
  const follows = Object.entries(epilogues)
  return names
    .filter((name) => op === 'convolution' || !cases[name]!.stride)
    .map((name, i) => {
      const [after, follow] = follows[i % follows.length]!
      return callOf(op, `${name}, then ${after}`, cases[name]!, follow)
    })
}

/** Several threads, one after the other, the last one first. */
class PlayedDevice extends WasmDevice {
  override compile(program: SelectedProgram<'wasm'>): ReturnType<WasmDevice['compile']> {
    const executable = super.compile(program)
    executable.run = (buffers) => {
      executable.profileSteps(buffers, (runStep) => {
        for (let thread = this.threads - 1; thread >= 0; thread--) runStep(thread, this.threads)
      })
    }
    return executable
  }
}

const playing = (variant: Variant): Backend<'wasm'> => ({
  name: 'wasm',
  open: () => new PlayedDevice(new Machine(variant, { shared: supportsThreads(), threads: 3 })),
})

const backends = variants
  .filter((variant) => variant !== 'wide' || canEnableRevectorizer())
  .map((variant): [string, Backend<'wasm'>] => [variant, wasm({ variant, threads: 1 }).backends![0] as Backend<'wasm'>])

describe.each([...backends, ['relaxed, three threads', playing('relaxed')] as const])('%s', (_, backend) => {
  for (const kernel of [convolutionKernel, convolutionBackwardInputKernel, convolutionBackwardFilterKernel]) {
    testKernel({
      kernel: kernel as Kernel<typeof kernel.op, 'wasm'>,
      backend,
      reference: convolutionReferences[kernel.op] as Kernel<typeof kernel.op, 'reference'>,
      run: { describe, it },
      calls: [...Object.entries(cases).map(([name, entry]) => callOf(kernel.op, name, entry)), ...followed(kernel.op)],
      refuses: [
        callOf(kernel.op, 'four spatial axes', { input: [1, 1, 2, 2, 2, 2], filter: [1, 1, 1, 1, 1, 1] }),
        callOf(kernel.op, 'no image', { input: [0, 2, 4, 4], filter: [3, 2, 3, 3] }),
        // Several products, or no map of images.
        ...(kernel.op === 'convolutionBackwardInput'
          ? [callOf(kernel.op, 'an epilogue of a strided one', cases['stride 2']!, epilogues[residual]!)]
          : []),
      ],
    })
  }
})

describe('convolutions in programs', () => {
  const block = jit((x: Tensor, filter: Tensor, bias: Tensor) =>
    conv2d(x, filter, { padding: 1 })
      .add(bias.reshape([-1, 1, 1]))
      .relu()
      .add(x),
  )
  const gradient = jit((x: Tensor, filter: Tensor, bias: Tensor) =>
    grad((from: Tensor) =>
      conv2d(from.relu(), filter, { padding: 1 })
        .add(bias.reshape([-1, 1, 1]))
        .square()
        .sum(),
    )(x),
  )
  const operands = (): [Tensor, Tensor, Tensor] => [
    randomNormal(randomKey(1), [2, 6, 20, 19]),
    randomNormal(randomKey(2), [6, 6, 3, 3]),
    randomNormal(randomKey(3), [6]),
  ]

  it('take bias, activation and residual as an epilogue, the mask of a gradient too, as the reference does', async () => {
    const results: number[][][] = []
    for (const use of [[], [wasm({ threads: 1 })], [wasm({ threads: 2 })]]) {
      const runtime = await createRuntime({ use })
      const values = [await block(...operands()).data(), await gradient(...operands()).data()]
      results.push(values.map((each) => [...each]))
      if (use.length > 0) {
        expect(block.explain()).toMatch(/wasm-convolution .*then add less where add/)
        expect(gradient.explain()).toMatch(/wasm-convolution-backward-input .*then/)
      }
      await runtime.close()
    }
    const [wanted, one, two] = results
    expect(two).toEqual(one)
    one!.forEach((values, i) => {
      for (const [j, value] of values.entries()) expect(Math.abs(value - wanted![i]![j]!)).toBeLessThan(2e-4)
    })
  })
})
