import { bytesMoved } from '@tessera/backend-webgpu/kernel'
import type { Limits, OpCall } from '@tessera/core'
import type { ConvolutionOp } from '../layout.ts'
import { problemOf, roundUp, tilesOf } from './problem.ts'

/** Dispatches of a call whose tiles are one range. */
const dispatches = 4

/**
 * Microseconds of a call, `undefined` for one that the kernels do not take: the products, at the rate at which the backend's own kernels are
 * estimated, and the traffic of operands, and of tiles, results and filters, which are written and read once on the way.
 */
export function costOf(
  call: OpCall<ConvolutionOp>,
  size: 4 | 6,
  { gigaflops, gigabytesPerSecond, microsecondsPerCall, maximumBufferBytes }: Limits,
): number | undefined {
  const problem = problemOf(call)
  if (!problem) return undefined
  const { rows, channels } = problem.layout
  const products = size * size
  // Filters, or the sums of their gradients, are one buffer.
  const filterBytes = 4 * products * roundUp(rows, 4) * roundUp(channels, 4)
  if (filterBytes > maximumBufferBytes) return undefined
  const tiles = roundUp(tilesOf(problem.layout, size), 4)
  const computing = (2 * products * tiles * roundUp(rows, 8) * channels) / (1000 * gigaflops)
  const traffic = bytesMoved(call) + 2 * (filterBytes + 4 * products * tiles * (rows + channels))
  return dispatches * microsecondsPerCall + computing + traffic / (1000 * gigabytesPerSecond)
}
