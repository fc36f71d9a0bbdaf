import type { Variant, WasmArgument, WasmCallPlan, WasmFunction, WasmStep, WasmTarget } from '@tessera/backend-wasm'
import { matmulTuning } from '@tessera/backend-wasm/kernel'
import type { Kernel, Limits, OpCall } from '@tessera/core'
import { type Algorithm, algorithmOf, taps } from './algorithms.ts'
import { filterGradientFunction, planFilterGradient } from './wasm/filter-gradient.ts'
import { filtersFunction, planFilters } from './wasm/filters.ts'
import { type ConvolutionLayout, type ConvolutionOp, layoutOf } from './wasm/layout.ts'
import { planProduct, productFunction } from './wasm/product.ts'
import { roundUp } from './wasm/tuning.ts'

/** Relative error of the algorithms, by α, for operands of the size of one. */
const tolerances = { 4: 2e-6, 6: 5e-6 } as const

/** The parts of an algorithm that its kernels share, made when the first kernel is built. */
function lazily<Value>(make: () => Value): () => Value {
  let made: Value | undefined
  return () => {
    made ??= make()
    return made
  }
}

const parts = {
  4: lazily(() => partsOf(algorithmOf(4))),
  6: lazily(() => partsOf(algorithmOf(6))),
} as const

function partsOf(algorithm: Algorithm) {
  return {
    algorithm,
    filters: filtersFunction(algorithm, false),
    turnedFilters: filtersFunction(algorithm, true),
    product: productFunction(algorithm),
    filterGradient: filterGradientFunction(algorithm),
  }
}

const input = (index: number): WasmArgument => ({ kind: 'input', index })
const shared: WasmArgument = { kind: 'sharedScratch' }
const kept: WasmArgument = { kind: 'kept' }
const own: readonly WasmArgument[] = [{ kind: 'threadScratch' }, { kind: 'thread' }, { kind: 'threads' }]

function planCall(call: OpCall<ConvolutionOp>, size: 4 | 6, { variant }: { variant: Variant }): WasmCallPlan {
  return call.op === 'convolutionBackwardFilter'
    ? planGradient(call, size, variant)
    : planConvolution(call, size, variant)
}

function planGradient(call: OpCall<ConvolutionOp>, size: 4 | 6, variant: Variant): WasmCallPlan {
  const { algorithm, filterGradient } = parts[size]()
  const { words: data, ...scratch } = planFilterGradient(algorithm, layoutOf(call)!, matmulTuning(variant))
  const step: WasmStep = {
    function: filterGradient as unknown as WasmFunction,
    arguments: [{ kind: 'data' }, input(0), input(1), { kind: 'output', index: 0 }, shared, ...own],
  }
  return { steps: [step], data, ...scratch }
}

function planConvolution(call: OpCall<ConvolutionOp>, size: 4 | 6, variant: Variant): WasmCallPlan {
  const { algorithm, filters, turnedFilters, product } = parts[size]()
  const layout = layoutOf(call)!
  const turned = call.op === 'convolutionBackwardInput'
  const tuning = matmulTuning(variant)
  const matrices = planFilters(algorithm, { rows: layout.rows, columns: layout.channels, turned }, tuning)
  const plan = planProduct(algorithm, layout, matrices, tuning)
  const data = new Int32Array(matrices.words.length + plan.words.length)
  data.set(matrices.words)
  data.set(plan.words, matrices.words.length)
  return {
    steps: [
      {
        function: (turned ? turnedFilters : filters) as unknown as WasmFunction,
        arguments: [{ kind: 'data' }, input(1), kept, ...own],
      },
      {
        function: product as unknown as WasmFunction,
        arguments: [
          { kind: 'data', byteOffset: matrices.words.byteLength },
          input(0),
          kept,
          { kind: 'output', index: 0 },
          ...own,
        ],
      },
    ],
    data,
    kept: { inputs: [1], steps: 1, bytes: matrices.bytes },
    threadScratchBytes: Math.max(matrices.threadScratchBytes, plan.threadScratchBytes),
  }
}

/** Share of the limit that the products reach. */
const efficiency = 0.85

/**
 * Microseconds of a call: the products, and the traffic of their operands and results. Tiles are written and read once on the way; filters (or
 * the sums of their gradients), spread over α² matrices, at about half of that rate.
 */
function costOf(call: OpCall<ConvolutionOp>, layout: ConvolutionLayout, size: 4 | 6, limits: Limits): number {
  const { gigaflops, gigabytesPerSecond, microsecondsPerCall } = limits
  const { batch, rows, channels, target } = layout
  const products = size * size
  const outputs = size - taps + 1
  const tiles = batch * Math.ceil(target[0] / outputs) * Math.ceil(target[1] / outputs)
  const keepsFilters = call.op !== 'convolutionBackwardFilter' && call.inputs[1]!.isConstant === true
  const computing = 2 * products * roundUp(tiles, 8) * roundUp(rows, 6) * channels
  const traffic = 8 * products * (tiles * (rows + channels) + (keepsFilters ? 0 : 2 * rows * channels))
  return 2 * microsecondsPerCall + computing / (1000 * efficiency * gigaflops) + traffic / (1000 * gigabytesPerSecond)
}

function kernelOf<Op extends ConvolutionOp>(op: Op, size: 4 | 6, name: string): Kernel<Op, 'wasm'> {
  return {
    name,
    op,
    backend: 'wasm',
    tolerance: tolerances[size],
    cost: (call, limits) => {
      const convolution = call as unknown as OpCall<ConvolutionOp>
      const layout = layoutOf(convolution)
      return layout && costOf(convolution, layout, size, limits)
    },
    build: (call) => (target: WasmTarget) => planCall(call as unknown as OpCall<ConvolutionOp>, size, target),
  }
}

/** Convolution of 3 × 3 filters by F(2×2, 3×3): 2.25 times fewer products, as exact as the direct kernel. */
export const winogradF2: Kernel<'convolution', 'wasm'> = kernelOf('convolution', 4, 'winograd-f2')
/** Convolution of 3 × 3 filters by F(4×4, 3×3): four times fewer products. */
export const winogradF4: Kernel<'convolution', 'wasm'> = kernelOf('convolution', 6, 'winograd-f4')
/** Their gradients to the input: convolutions of the errors with turned filters. */
export const winogradF2BackwardInput: Kernel<'convolutionBackwardInput', 'wasm'> = kernelOf(
  'convolutionBackwardInput',
  4,
  'winograd-f2-backward-input',
)
export const winogradF4BackwardInput: Kernel<'convolutionBackwardInput', 'wasm'> = kernelOf(
  'convolutionBackwardInput',
  6,
  'winograd-f4-backward-input',
)
/** The gradients to the filters, by F(3×3, 2×2) and F(3×3, 4×4). */
export const winogradF2BackwardFilter: Kernel<'convolutionBackwardFilter', 'wasm'> = kernelOf(
  'convolutionBackwardFilter',
  4,
  'winograd-f2-backward-filter',
)
export const winogradF4BackwardFilter: Kernel<'convolutionBackwardFilter', 'wasm'> = kernelOf(
  'convolutionBackwardFilter',
  6,
  'winograd-f4-backward-filter',
)
