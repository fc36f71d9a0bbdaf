import type { Backend, Kernel, SelectedProgram } from '@tessera/core'
import { conv2d, createRuntime, grad, jit, randomKey, randomNormal, type Tensor } from '@tessera/core'
import {
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
import { canEnableRevectorizer, supportsThreads, type Variant, variants } from '../../variant.ts'
import { wasm } from '../../wasm.ts'
import { convolutionBackwardFilterKernel, convolutionBackwardInputKernel, convolutionKernel } from './index.ts'

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
