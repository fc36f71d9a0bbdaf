import {
  conv2d,
  createRuntime,
  jit,
  type Kernel,
  type OpCall,
  type Plugin,
  randomKey,
  randomNormal,
  referencePlugin,
  type Tensor,
} from '@tessera/core'
import {
  assertClose,
  convolutionCall,
  convolutionCases,
  convolutionEpilogues,
  convolutionReferences,
  testKernel,
} from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { softwareAdapters } from '../../testing/adapters.ts'
import { convolutionBackwardFilterKernel, convolutionBackwardInputKernel, convolutionKernel } from './convolution.ts'
import { type ConvolutionOp, convolutionProblem } from './problem.ts'
import { planSharedConvolution } from './shared.ts'

type AnyKernel = Kernel<ConvolutionOp, 'webgpu'>
const kernels = [
  convolutionKernel,
  convolutionBackwardInputKernel,
  convolutionBackwardFilterKernel,
] as unknown as readonly AnyKernel[]

/** The shaders that a graphics card would get. */
const shared = (kernel: AnyKernel): AnyKernel => ({
  ...kernel,
  name: `${kernel.name}, shared tiles`,
  build:
    (call) =>
    (...where) =>
      planSharedConvolution(call as unknown as OpCall, convolutionProblem(call)!, ...where),
})

/** Barriers are slow on a processor, and so is compiling them. */
const inShared = {
  convolution: ['groups'],
  convolutionBackwardInput: ['stride with dilation'],
  convolutionBackwardFilter: ['groups'],
} as const
/** Every layout is another shader. */
const inEveryLayout = ['stride with dilation']
const followed = ['3 × 3', 'groups']

for (const { name, backend, isExpected } of softwareAdapters) {
  if (!isExpected) continue
  describe(name, () => {
    const test = (kernel: AnyKernel, names: readonly string[], layouts: readonly string[]): void => {
      const calls = names.map((each) => convolutionCall(kernel.op, each, convolutionCases[each]!))
      const epilogues = Object.entries(convolutionEpilogues).flatMap(([after, follow], i) => {
        const each = followed[i]!
        return names.includes(each)
          ? [convolutionCall(kernel.op, `${each}, then ${after}`, convolutionCases[each]!, follow)]
          : []
      })
      const isChosen = (name: string): boolean =>
        !/, (in every layout|other formats)/.test(name) || layouts.some((each) => name.startsWith(`${each}, `))
      testKernel({
        kernel,
        backend,
        reference: convolutionReferences[kernel.op] as unknown as Kernel<ConvolutionOp, 'reference'>,
        run: { describe, it: (name, body) => (isChosen(name) ? it(name, body) : undefined) },
        calls: [...calls, ...epilogues],
      })
    }
    for (const kernel of kernels) {
      test(kernel, Object.keys(convolutionCases), inEveryLayout)
      test(shared(kernel), inShared[kernel.op], [])
    }
  })
}

describe.runIf(softwareAdapters[0]!.isExpected)('convolutions in programs', () => {
  const layer = async (plugin: Plugin) => {
    const runtime = await createRuntime({ use: [plugin] })
    const program = jit((x: Tensor, filter: Tensor, bias: Tensor, rest: Tensor) =>
      conv2d(x, filter, { padding: 1, groups: 2 })
        .add(bias.reshape([6, 1, 1]))
        .relu()
        .add(rest),
    )
    const normal = (seed: number, shape: number[]) => randomNormal(randomKey(seed), shape)
    const y = program(normal(1, [2, 4, 7, 8]), normal(2, [6, 2, 3, 3]), normal(3, [6]), normal(4, [2, 6, 7, 8]))
    const values = await y.data()
    const explained = program.explain()
    await runtime.close()
    return { values, explained }
  }

  it('take bias, activation and residual as an epilogue', async () => {
    const actual = await layer(softwareAdapters[0]!.plugin)
    expect(actual.explained).toMatch(/1 calls: 1 × webgpu-convolution/)
    assertClose(actual.values, (await layer(referencePlugin)).values, { relative: 1e-5, absolute: 1e-5 }, 'layer')
  })
})
