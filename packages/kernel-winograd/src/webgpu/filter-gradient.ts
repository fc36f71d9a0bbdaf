import type { WebGpuCallPlan, WebGpuDispatch } from '@tessera/backend-webgpu'
import type { Kernel, OpCall } from '@tessera/core'
import { tolerances } from '../algorithms.ts'
import type { ConvolutionOp } from '../layout.ts'
import { algorithms } from './algorithms.ts'
import { costOf } from './cost.ts'
import { type Problem, problemOf, roundUp, tileRanges } from './problem.ts'
import { multiply } from './products.ts'
import { matricesIn, type Place, transformErrors, transformGradient, transformSource } from './transforms.ts'

/** Products sum over the tiles, range after range, and their sums are transformed once. */
function planGradient(
  call: OpCall,
  problem: Problem,
  size: 4 | 6,
  maximumBufferBytes: number,
  place: Place,
): WebGpuCallPlan {
  const algorithm = algorithms(size)
  const { rows, channels } = problem.layout
  const { software } = place.environment.features
  const ranges = tileRanges(problem, algorithm, { software, maximumBufferBytes })
  const [columns, wholeChannels] = [roundUp(ranges[0]!.count, 4), roundUp(channels, 4)]
  const errors = matricesIn(place, size, rows, columns)
  const tiles = matricesIn(place, size, wholeChannels, columns)
  const sums = matricesIn(place, size, rows, wholeChannels)
  const dispatches: WebGpuDispatch[] = []
  ranges.forEach((range, i) => {
    const left = { matrices: errors, extents: [rows, range.count] } as const
    const right = { matrices: tiles, extents: [range.count, wholeChannels], isTransposed: true } as const
    dispatches.push(
      transformErrors(problem, algorithm, range, errors, place),
      transformSource(problem, algorithm, range, tiles, place),
      ...multiply(left, right, sums, size * size, i > 0, place),
    )
  })
  return { dispatches: [...dispatches, transformGradient(call, problem, algorithm, sums, place)] }
}

function kernelOf(size: 4 | 6, name: string): Kernel<'convolutionBackwardFilter', 'webgpu'> {
  return {
    name,
    op: 'convolutionBackwardFilter',
    backend: 'webgpu',
    tolerance: tolerances[size],
    epilogues: true,
    layouts: 'any',
    cost: (call, limits) => costOf(call as unknown as OpCall<ConvolutionOp>, size, limits),
    build: (given, { maximumBufferBytes }) => {
      const call = given as unknown as OpCall<ConvolutionOp>
      const problem = problemOf(call)!
      return (environment, memory) =>
        planGradient(call as unknown as OpCall, problem, size, maximumBufferBytes, { environment, memory })
    },
  }
}

/** `winogradF2BackwardFilter` for the backend `webgpu`. */
export const webGpuWinogradF2BackwardFilter = /* @__PURE__ */ kernelOf(4, 'winograd-f2-backward-filter')
/** `winogradF4BackwardFilter` for the backend `webgpu`. */
export const webGpuWinogradF4BackwardFilter = /* @__PURE__ */ kernelOf(6, 'winograd-f4-backward-filter')
