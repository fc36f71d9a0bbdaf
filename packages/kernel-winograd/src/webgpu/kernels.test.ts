import { softwareAdapters } from '@tessera/backend-webgpu/node'
import type { Kernel } from '@tessera/core'
import { convolutionReferences, type KernelTestCall, testKernel } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import type { ConvolutionOp } from '../layout.ts'
import { type Case, callOf, followed, pick, randomCases, refused } from '../testing/cases.ts'
import {
  webGpuWinogradF2,
  webGpuWinogradF2BackwardInput,
  webGpuWinogradF4,
  webGpuWinogradF4BackwardInput,
} from './convolution.ts'
import { webGpuWinogradF2BackwardFilter, webGpuWinogradF4BackwardFilter } from './filter-gradient.ts'

const kernels = [
  webGpuWinogradF2,
  webGpuWinogradF4,
  webGpuWinogradF2BackwardInput,
  webGpuWinogradF4BackwardInput,
  webGpuWinogradF2BackwardFilter,
  webGpuWinogradF4BackwardFilter,
] as unknown as readonly Kernel<ConvolutionOp, 'webgpu'>[]

/** Every layout is another shader, and both algorithms load and store in the same way. */
const inEveryLayout = 'odd extents, in every layout that it takes'
const names = {
  4: ['odd extents'],
  6: ['odd extents', 'uneven padding', 'one element', 'many channels', 'many images'],
}

/** Memory for a few tiles at a time, so that they are cut into ranges. */
const inRanges = (kernel: Kernel<ConvolutionOp, 'webgpu'>): Kernel<ConvolutionOp, 'webgpu'> => ({
  ...kernel,
  name: `${kernel.name}, ranges of tiles`,
  build: (call, limits) => kernel.build(call, { ...limits, maximumBufferBytes: 2 ** 16 }),
})

/** The shaders that a graphics card would get. */
const onCard = (kernel: Kernel<ConvolutionOp, 'webgpu'>): Kernel<ConvolutionOp, 'webgpu'> => ({
  ...kernel,
  name: `${kernel.name}, on a card`,
  build: (call, limits) => {
    const program = kernel.build(call, limits)
    return ({ features, ...environment }, memory) =>
      program({ ...environment, features: { ...features, software: false } }, memory)
  },
})

for (const { name, backend, isExpected } of softwareAdapters) {
  if (!isExpected) continue
  describe(name, () => {
    const test = (kernel: Kernel<ConvolutionOp, 'webgpu'>, calls: KernelTestCall[], isWhole = false): void => {
      const isChosen = (test: string): boolean => !/, in every layout/.test(test) || (isWhole && test === inEveryLayout)
      testKernel({
        kernel,
        backend,
        reference: convolutionReferences[kernel.op] as unknown as Kernel<ConvolutionOp, 'reference'>,
        run: { describe, it: (test, body) => (isChosen(test) ? it(test, body) : undefined) },
        calls,
        refuses: isWhole ? refused(kernel.op) : [],
      })
    }
    const callsOf = (kernel: Kernel<ConvolutionOp, 'webgpu'>, taken: Record<string, Case>): KernelTestCall[] =>
      Object.entries(taken).map(([name, entry]) => callOf(kernel.op, name, entry))

    kernels.forEach((kernel, i) => {
      const size = kernel.name.includes('f4') ? 6 : 4
      const all = callsOf(kernel, { ...pick(...names[size]), ...randomCases(2, 15 + i) })
      const after = followed(kernel.op, pick(...(size === 6 ? ['tiles that fit', 'odd extents'] : ['odd extents'])))
      test(kernel, [...all, ...after], size === 6)
    })
    for (const kernel of [kernels[1]!, kernels[5]!]) {
      test(inRanges(kernel), callsOf(kernel, pick('many tiles')))
      test(onCard(kernel), callsOf(kernel, pick('odd extents')))
    }
  })
}
