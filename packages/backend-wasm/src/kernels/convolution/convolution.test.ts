import type { Backend, Kernel, SelectedProgram } from '@tessera/core'
import { conv2d, createRuntime, grad, jit, randomKey, randomNormal, type Tensor } from '@tessera/core'
import {
  type ConvolutionCase,
  convolutionCall,
  convolutionCases,
  convolutionEpilogues,
  convolutionReferences,
  type KernelTestCall,
  testKernel,
} from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { WasmDevice } from '../../device/device.ts'
import { Machine } from '../../device/machine.ts'
import { variantBackend } from '../../testing/backends.ts'
import { canEnableRevectorizer, supportsThreads, type Variant, variants } from '../../variant.ts'
import { wasm } from '../../wasm.ts'
import {
  convolutionBackwardFilterKernel,
  convolutionBackwardInputKernel,
  convolutionKernel,
  depthwiseConvolutionBackwardFilterKernel,
  depthwiseConvolutionBackwardInputKernel,
  depthwiseConvolutionKernel,
} from './index.ts'

/** Calls with epilogues, by turns the first and the second one. */
function followed(op: keyof typeof convolutionReferences): KernelTestCall[] {
  if (op === 'convolutionBackwardFilter') return []
  const strided = ['stride 2', 'stride with dilation']
  const names = ['3 × 3', 'one element', 'many channels', 'many positions', '1 × 1', 'groups', '1-D', '3-D'].concat(
    'dilation, uneven padding',
    'depthwise with a multiplier',
    op === 'convolution' ? strided : [],
  )
  const follows = Object.entries(convolutionEpilogues)
  return names
    .filter((name) => op === 'convolution' || !convolutionCases[name]!.stride)
    .map((name, i) => {
      const [after, follow] = follows[i % follows.length]!
      return convolutionCall(op, `${name}, then ${after}`, convolutionCases[name]!, follow)
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

const around = (count: number): [number, number][] => [
  [count, count],
  [count, count],
]

/** Groups of one channel and of few, every option, and more rows than a band. */
const narrow: Record<string, ConvolutionCase> = {
  depthwise: convolutionCases.depthwise!,
  'depthwise with a multiplier': convolutionCases['depthwise with a multiplier']!,
  'one position': { input: [1, 5, 3, 3], filter: [5, 1, 3, 3], groups: 5 },
  'groups of three and two': { input: [2, 12, 6, 7], filter: [8, 3, 3, 3], groups: 4, padding: around(1) },
  'stride beyond the filter': { input: [1, 4, 11, 10], filter: [4, 1, 2, 1], groups: 4, stride: [3, 4] },
  'stride with dilation, uneven padding': {
    input: [2, 3, 13, 24],
    filter: [6, 1, 3, 3],
    groups: 3,
    stride: [2, 3],
    dilation: [3, 2],
    padding: [
      [3, 1],
      [0, 5],
    ],
  },
  'more padding than image': { input: [1, 2, 4, 3], filter: [2, 1, 2, 2], groups: 2, padding: around(9) },
  'a wide image': { input: [1, 3, 70, 130], filter: [3, 1, 3, 3], groups: 3, padding: around(1) },
  'many groups': { input: [3, 37, 7, 7], filter: [37, 1, 3, 3], groups: 37, padding: around(1) },
  'depthwise, 1-D': { input: [2, 6, 70], filter: [6, 1, 5], groups: 6, stride: [2], padding: [[4, 2]] },
}

const playing = (variant: Variant): Backend<'wasm'> => ({
  name: 'wasm',
  open: () => new PlayedDevice(new Machine(variant, { shared: supportsThreads(), threads: 3 })),
})

const backends = variants
  .filter((variant) => variant !== 'wide' || canEnableRevectorizer())
  .map((variant): [string, Backend<'wasm'>] => [variant, variantBackend(variant)])

describe.each([...backends, ['relaxed, three threads', playing('relaxed')] as const])('%s', (_, backend) => {
  for (const kernel of [
    depthwiseConvolutionKernel,
    depthwiseConvolutionBackwardInputKernel,
    depthwiseConvolutionBackwardFilterKernel,
  ]) {
    testKernel({
      kernel: kernel as Kernel<typeof kernel.op, 'wasm'>,
      backend,
      reference: convolutionReferences[kernel.op] as Kernel<typeof kernel.op, 'reference'>,
      run: { describe, it },
      calls: Object.entries(narrow).flatMap(([name, entry], i) => {
        const [after, follow] = Object.entries(convolutionEpilogues)[i % 2]!
        const takesEpilogue =
          kernel.op === 'convolution' || (kernel.op === 'convolutionBackwardInput' && entry.stride === undefined)
        return [
          convolutionCall(kernel.op, name, entry),
          ...(takesEpilogue ? [convolutionCall(kernel.op, `${name}, then ${after}`, entry, follow)] : []),
        ]
      }),
      refuses: [
        convolutionCall(kernel.op, 'one group', convolutionCases['3 × 3']!),
        convolutionCall(kernel.op, 'three spatial axes', {
          input: [1, 2, 2, 2, 2],
          filter: [2, 1, 2, 1, 1],
          groups: 2,
        }),
      ],
    })
  }
  for (const kernel of [convolutionKernel, convolutionBackwardInputKernel, convolutionBackwardFilterKernel]) {
    testKernel({
      kernel: kernel as Kernel<typeof kernel.op, 'wasm'>,
      backend,
      reference: convolutionReferences[kernel.op] as Kernel<typeof kernel.op, 'reference'>,
      run: { describe, it },
      calls: [
        ...Object.entries(convolutionCases).map(([name, entry]) => convolutionCall(kernel.op, name, entry)),
        ...followed(kernel.op),
      ],
      refuses: [
        convolutionCall(kernel.op, 'four spatial axes', { input: [1, 1, 2, 2, 2, 2], filter: [1, 1, 1, 1, 1, 1] }),
        convolutionCall(kernel.op, 'no image', { input: [0, 2, 4, 4], filter: [3, 2, 3, 3] }),
        // Several products, or no map of images.
        ...(kernel.op === 'convolutionBackwardInput'
          ? [
              convolutionCall(
                kernel.op,
                'an epilogue of a strided one',
                convolutionCases['stride 2']!,
                convolutionEpilogues['bias, ReLU, residual, and the result itself']!,
              ),
            ]
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
