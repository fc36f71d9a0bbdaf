import type { WasmArgument, WasmCallPlan, WasmFunction, WasmStep, WasmTarget } from '@tessera/backend-wasm'
import {
  epiloguePart,
  imageFollowers,
  invocationOf,
  joinWords,
  matmulTuning,
  stageOf,
} from '@tessera/backend-wasm/kernel'
import type { Kernel, OpCall } from '@tessera/core'
import { tolerances } from './algorithms.ts'
import { costOf, passesFilters } from './cost.ts'
import { layoutOf } from './layout.ts'
import { input, own, partsOf } from './parts.ts'
import { type FilterMatrices, filtersFunction, planFilters } from './wasm/filters.ts'
import { planProduct, productFunction, unitFunction } from './wasm/product.ts'
import { planTransient, transientSourceFunction, transientUnitFunction } from './wasm/transient.ts'
import { unitBlocks, wholeImageBlocks } from './wasm/units.ts'

type Op = 'convolution' | 'convolutionBackwardInput'

const parts = /* @__PURE__ */ partsOf((algorithm) => ({
  algorithm,
  filters: filtersFunction(algorithm, false),
  turnedFilters: filtersFunction(algorithm, true),
  product: productFunction(algorithm),
  unit: unitFunction(algorithm),
  transientSource: transientSourceFunction(algorithm),
  transientUnit: transientUnitFunction(algorithm, false),
  transientTurnedUnit: transientUnitFunction(algorithm, true),
}))

const kept: WasmArgument = { kind: 'kept' }

/** The step that transforms the filters. Its words stand first in the data of a call. */
function filterStep(call: OpCall<Op>, size: 4 | 6): WasmStep {
  const { filters, turnedFilters } = parts(size)
  return {
    function: (call.op === 'convolution' ? filters : turnedFilters) as unknown as WasmFunction,
    arguments: [{ kind: 'data' }, input(1), kept, ...own],
  }
}

function planConvolution(call: OpCall<Op>, size: 4 | 6, target: WasmTarget): WasmCallPlan {
  if (passesFilters(call, layoutOf(call)!, size)) return planPassing(call, size, target)
  const { algorithm, product } = parts(size)
  const tuning = matmulTuning(target.variant)
  const layout = layoutOf(call)!
  const turned = call.op === 'convolutionBackwardInput'
  const matrices = planFilters(algorithm, { rows: layout.rows, columns: layout.channels, turned }, tuning)
  const keeping = { inputs: [1], steps: 1, bytes: matrices.bytes }
  if (call.epilogue) return { ...planUnits(call, size, target, matrices), kept: keeping }
  const plan = planProduct(algorithm, layout, matrices, tuning)
  const data: WasmArgument = { kind: 'data', byteOffset: matrices.words.byteLength }
  return {
    steps: [
      filterStep(call, size),
      {
        function: product as unknown as WasmFunction,
        arguments: [data, input(0), kept, { kind: 'output', index: 0 }, ...own],
      },
    ],
    data: Int32Array.from([...matrices.words, ...plan.words]),
    kept: keeping,
    threadScratchBytes: Math.max(matrices.threadScratchBytes, plan.threadScratchBytes),
  }
}

/** The same in units, each of which the call's epilogue follows. */
function planUnits(
  call: OpCall<Op>,
  size: 4 | 6,
  { variant, threads }: WasmTarget,
  matrices: FilterMatrices,
): WasmCallPlan {
  const { algorithm, unit } = parts(size)
  const tuning = matmulTuning(variant)
  const layout = layoutOf(call)!
  const blocks = unitBlocks(layout, size, tuning, threads)
  const plan = planProduct(algorithm, layout, matrices, tuning, blocks)
  const words = Int32Array.from([...matrices.words, ...plan.words])
  const after = epiloguePart(call, blocks, [layout.batch, 1], imageFollowers(call, 1)!)
  const { place: stage, end } = stageOf(after, blocks)
  const data: WasmArgument = { kind: 'data', byteOffset: matrices.words.byteLength }
  const scratch: WasmArgument = { kind: 'threadScratch', byteOffset: end }
  return {
    steps: [
      filterStep(call, size),
      {
        function: unit as unknown as WasmFunction,
        arguments: [data, input(0), kept, stage, scratch, { kind: 'unit' }],
        units: layout.batch * blocks.perImage,
        after: [invocationOf(after, words.byteLength, stage)],
      },
    ],
    data: joinWords(words, after),
    threadScratchBytes: Math.max(matrices.threadScratchBytes, end + plan.threadScratchBytes),
  }
}

/** The same with filters that are transformed in passing, with or without an epilogue. */
function planPassing(call: OpCall<Op>, size: 4 | 6, { variant }: WasmTarget): WasmCallPlan {
  const { algorithm, transientSource, transientUnit, transientTurnedUnit } = parts(size)
  const tuning = matmulTuning(variant)
  const layout = layoutOf(call)!
  const turned = call.op === 'convolutionBackwardInput'
  const positions = layout.target[0] * layout.target[1]
  const plan = planTransient(algorithm, layout, turned, tuning, call.epilogue && positions)
  const blocks = wholeImageBlocks(layout, tuning)
  const after = call.epilogue && epiloguePart(call, blocks, [1, 1], imageFollowers(call, 1)!)
  const { place: stage, end } = stageOf(after, blocks)
  const data: WasmArgument = { kind: 'data' }
  const shared: WasmArgument = { kind: 'sharedScratch' }
  const scratch: WasmArgument = { kind: 'threadScratch', byteOffset: end }
  const target: WasmArgument = after ? stage : { kind: 'output', index: 0 }
  return {
    steps: [
      {
        function: transientSource as unknown as WasmFunction,
        arguments: [data, input(0), shared, scratch, { kind: 'thread' }, { kind: 'threads' }],
      },
      {
        function: (turned ? transientTurnedUnit : transientUnit) as unknown as WasmFunction,
        arguments: [data, input(1), shared, target, scratch, { kind: 'unit' }],
        units: blocks.rowUnits,
        ...(after && { after: [invocationOf(after, plan.words.byteLength, stage)] }),
      },
    ],
    data: joinWords(plan.words, after),
    sharedScratchBytes: plan.sharedScratchBytes,
    threadScratchBytes: end + plan.threadScratchBytes,
  }
}

function kernelOf<Taken extends Op>(op: Taken, size: 4 | 6, name: string): Kernel<Taken, 'wasm'> {
  return {
    name,
    op,
    backend: 'wasm',
    tolerance: tolerances[size],
    epilogues: true,
    cost: (call, limits) => costOf(call as unknown as OpCall<Op>, size, limits),
    build: (call) => (target: WasmTarget) => planConvolution(call as unknown as OpCall<Op>, size, target),
  }
}

/** Convolution of 3 × 3 filters by F(2×2, 3×3): 2.25 times fewer products, as exact as the direct kernel. */
export const winogradF2: Kernel<'convolution', 'wasm'> = /* @__PURE__ */ kernelOf('convolution', 4, 'winograd-f2')
/** Convolution of 3 × 3 filters by F(4×4, 3×3): four times fewer products. */
export const winogradF4: Kernel<'convolution', 'wasm'> = /* @__PURE__ */ kernelOf('convolution', 6, 'winograd-f4')

const turned = 'convolutionBackwardInput'
/** Their gradients to the input: convolutions of the errors with turned filters. */
export const winogradF2BackwardInput: Kernel<'convolutionBackwardInput', 'wasm'> = /* @__PURE__ */ kernelOf(
  turned,
  4,
  'winograd-f2-backward-input',
)
export const winogradF4BackwardInput: Kernel<'convolutionBackwardInput', 'wasm'> = /* @__PURE__ */ kernelOf(
  turned,
  6,
  'winograd-f4-backward-input',
)
