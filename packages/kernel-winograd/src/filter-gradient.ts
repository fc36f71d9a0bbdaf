import type { WasmCallPlan, WasmFunction, WasmStep, WasmTarget } from '@tessera/backend-wasm'
import { matmulTuning } from '@tessera/backend-wasm/kernel'
import type { Kernel, OpCall } from '@tessera/core'
import { tolerances } from './algorithms.ts'
import { costOf } from './cost.ts'
import { type ConvolutionOp, layoutOf } from './layout.ts'
import { input, own, partsOf } from './parts.ts'
import { filterGradientFunction, planFilterGradient } from './wasm/filter-gradient.ts'

const parts = /* @__PURE__ */ partsOf((algorithm) => ({ algorithm, gradient: filterGradientFunction(algorithm) }))

function planGradient(call: OpCall<ConvolutionOp>, size: 4 | 6, { variant, threads }: WasmTarget): WasmCallPlan {
  const { algorithm, gradient } = parts(size)
  const { words: data, ...scratch } = planFilterGradient(algorithm, layoutOf(call)!, matmulTuning(variant), threads)
  const step: WasmStep = {
    function: gradient as unknown as WasmFunction,
    arguments: [{ kind: 'data' }, input(0), input(1), { kind: 'output', index: 0 }, { kind: 'sharedScratch' }, ...own],
  }
  return { steps: [step], data, ...scratch }
}

function kernelOf(size: 4 | 6, name: string): Kernel<'convolutionBackwardFilter', 'wasm'> {
  return {
    name,
    op: 'convolutionBackwardFilter',
    backend: 'wasm',
    tolerance: tolerances[size],
    cost: (call, limits) => costOf(call as unknown as OpCall<ConvolutionOp>, size, limits),
    build: (call) => (target: WasmTarget) => planGradient(call as unknown as OpCall<ConvolutionOp>, size, target),
  }
}

/** The gradients to the filters, by F(3×3, 2×2) and F(3×3, 4×4). */
export const winogradF2BackwardFilter = /* @__PURE__ */ kernelOf(4, 'winograd-f2-backward-filter')
export const winogradF4BackwardFilter = /* @__PURE__ */ kernelOf(6, 'winograd-f4-backward-filter')
