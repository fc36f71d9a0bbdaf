import type { WebGpuCallPlan, WebGpuDispatch } from '@tessera/backend-webgpu'
import type { Kernel, OpCall } from '@tessera/core'
import { tolerances } from '../algorithms.ts'
import type { ConvolutionOp } from '../layout.ts'
import { algorithms } from './algorithms.ts'
import { costOf } from './cost.ts'
import { type Problem, problemOf, roundUp, tileRanges } from './problem.ts'
import { multiply } from './products.ts'
import { matricesIn, type Place, transformFilters, transformResults, transformSource } from './transforms.ts'

type Op = 'convolution' | 'convolutionBackwardInput'

/**
 * Filters are transformed once; then, for each range of tiles, the tiles, the products with the filters, and their results. Rows of all matrices are
 * multiples of four long: what stands in the last ones is of no account, as no other row or column depends on it.
 */
function planConvolution(
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
  const [wholeRows, columns] = [roundUp(rows, 4), roundUp(ranges[0]!.count, 4)]
  const filters = matricesIn(place, size, channels, wholeRows)
  const tiles = matricesIn(place, size, channels, columns)
  const results = matricesIn(place, size, wholeRows, columns)
  const left = { matrices: filters, extents: [wholeRows, channels], isTransposed: true } as const
  const dispatches: WebGpuDispatch[] = [transformFilters(problem, algorithm, filters, place)]
  for (const range of ranges) {
    const right = { matrices: tiles, extents: [channels, roundUp(range.count, 4)] } as const
    dispatches.push(
      transformSource(problem, algorithm, range, tiles, place),
      ...multiply(left, right, results, size * size, false, place),
      transformResults(call, problem, algorithm, range, results, place),
    )
  }
  return { dispatches }
}

function kernelOf<Taken extends Op>(op: Taken, size: 4 | 6, name: string): Kernel<Taken, 'webgpu'> {
  return {
    name,
    op,
    backend: 'webgpu',
    tolerance: tolerances[size],
    epilogues: true,
    layouts: 'any',
    cost: (call, limits) => costOf(call as unknown as OpCall<ConvolutionOp>, size, limits),
    build: (given, { maximumBufferBytes }) => {
      const call = given as unknown as OpCall<ConvolutionOp>
      const problem = problemOf(call)!
      return (environment, memory) =>
        planConvolution(call as unknown as OpCall, problem, size, maximumBufferBytes, { environment, memory })
    },
  }
}

/** `winogradF2` for the backend `webgpu`. */
export const webGpuWinogradF2: Kernel<'convolution', 'webgpu'> = /* @__PURE__ */ kernelOf(
  'convolution',
  4,
  'winograd-f2',
)
/** `winogradF4` for the backend `webgpu`. */
export const webGpuWinogradF4: Kernel<'convolution', 'webgpu'> = /* @__PURE__ */ kernelOf(
  'convolution',
  6,
  'winograd-f4',
)

const turned = 'convolutionBackwardInput'
/** Their gradients to the input: convolutions of the errors with turned filters. */
export const webGpuWinogradF2BackwardInput: Kernel<'convolutionBackwardInput', 'webgpu'> = /* @__PURE__ */ kernelOf(
  turned,
  4,
  'winograd-f2-backward-input',
)
export const webGpuWinogradF4BackwardInput: Kernel<'convolutionBackwardInput', 'webgpu'> = /* @__PURE__ */ kernelOf(
  turned,
  6,
  'winograd-f4-backward-input',
)
