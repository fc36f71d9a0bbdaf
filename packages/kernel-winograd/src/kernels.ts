import type { Variant, WasmArgument, WasmCallPlan, WasmFunction, WasmTarget } from '@tessera/backend-wasm'
import { matmulTuning } from '@tessera/backend-wasm/kernel'
import type { Kernel, Limits, OpCall } from '@tessera/core'
import { type Algorithm, algorithmOf } from './algorithms.ts'
import { filtersFunction, planFilters } from './wasm/filters.ts'
import { type ConvolutionLayout, type ConvolutionOp, layoutOf } from './wasm/layout.ts'
import { planProduct, productFunction } from './wasm/product.ts'

/** Relative error of the algorithms, by α, for operands of the size of one. */
const tolerances = { 4: 4e-6, 6: 1e-5 } as const

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
  }
}

const input = (index: number): WasmArgument => ({ kind: 'input', index })
const shared: WasmArgument = { kind: 'sharedScratch' }
const own: readonly WasmArgument[] = [{ kind: 'threadScratch' }, { kind: 'thread' }, { kind: 'threads' }]

function planCall(call: OpCall<ConvolutionOp>, size: 4 | 6, { variant }: { variant: Variant }): WasmCallPlan {
  const { algorithm, filters, turnedFilters, product } = parts[size]()
  const layout = layoutOf(call)!
  const turned = call.op === 'convolutionBackwardInput'
  const matrices = planFilters(algorithm, layout.rows, layout.channels, turned)
  const plan = planProduct(algorithm, layout, matrices, matmulTuning(variant))
  const data = new Int32Array(matrices.words.length + plan.words.length)
  data.set(matrices.words)
  data.set(plan.words, matrices.words.length)
  return {
    steps: [
      {
        function: (turned ? turnedFilters : filters) as unknown as WasmFunction,
        arguments: [{ kind: 'data' }, input(1), shared, ...own],
      },
      {
        function: product as unknown as WasmFunction,
        arguments: [
          { kind: 'data', byteOffset: matrices.words.byteLength },
          input(0),
          shared,
          { kind: 'output', index: 0 },
          ...own,
        ],
      },
    ],
    data,
    sharedScratchBytes: matrices.bytes,
    threadScratchBytes: Math.max(matrices.threadScratchBytes, plan.threadScratchBytes),
  }
}

function costOf(layout: ConvolutionLayout, size: 4 | 6, { gigaflops, microsecondsPerCall }: Limits): number {
  const outputs = size - 2
  const tiles = layout.batch * Math.ceil(layout.target[0] / outputs) * Math.ceil(layout.target[1] / outputs)
  const products = size * size
  const computing = 2 * products * tiles * layout.rows * layout.channels
  const transforms = 6 * products * (tiles * (layout.rows + layout.channels) * 8 + layout.rows * layout.channels * 8)
  return 2 * microsecondsPerCall + (computing / 0.85 + transforms) / (1000 * gigaflops)
}

function kernelOf<Op extends ConvolutionOp>(op: Op, size: 4 | 6, name: string): Kernel<Op, 'wasm'> {
  return {
    name,
    op,
    backend: 'wasm',
    tolerance: tolerances[size],
    cost: (call, limits) => {
      const layout = layoutOf(call as unknown as OpCall<ConvolutionOp>)
      return layout && costOf(layout, size, limits)
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
