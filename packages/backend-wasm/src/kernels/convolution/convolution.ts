import type { Limits, OpCall } from '@tessera/core'
import { ownInputs, sizeOf } from '@tessera/core'
import type { ModuleBuilder } from '../../assembler/index.ts'
import type { WasmArgument, WasmCallPlan, WasmFunction, WasmStep, WasmTarget } from '../../program/contract.ts'
import type { Variant } from '../../variant.ts'
import { bytesOf, epiloguePart, invocationOf, joinWords, resultOf, stageOf } from '../epilogue.ts'
import { matmulTuning } from '../matmul/index.ts'
import type { MatmulTuning } from '../matmul/tuning.ts'
import { imageEpilogueWork, imageFollowers } from './after.ts'
import { type ConvolutionOp, geometryOf, takes, zeroStep } from './calls.ts'
import { emitFilterGradient } from './filter-gradient.ts'
import { type ConvolutionMethod, kernelOf } from './kernel-of.ts'
import { type ProductPlan, planBackwardInput, planFilterGradient, planForward } from './plan.ts'
import { type Convolution, mostSpatialAxes, writesWholeInput } from './problems.ts'
import { convolutionUnitParameters, emitProduct, type ProductFunctions, productParameters } from './product.ts'
import { planUnits, unitBlocks, unitProduct } from './units.ts'

const emitted = new WeakMap<ModuleBuilder, ProductFunctions>()

/** The functions of the product in a module, made when they are first asked for. */
function functionsIn(module: ModuleBuilder, variant: Variant): ProductFunctions {
  const known = emitted.get(module)
  if (known) return known
  const made = emitProduct(module, variant)
  emitted.set(module, made)
  return made
}

const product: WasmFunction<typeof productParameters> = {
  name: 'convolution',
  parameters: productParameters,
  define: (module, { variant }) => functionsIn(module, variant).whole,
}

const unit: WasmFunction<typeof convolutionUnitParameters> = {
  name: 'convolution.unit',
  parameters: convolutionUnitParameters,
  define: (module, { variant }) => functionsIn(module, variant).unit,
}

const filterGradient: WasmFunction<typeof productParameters> = {
  name: 'convolutionFilterGradient',
  parameters: productParameters,
  define: (module, { variant }) => emitFilterGradient(module, variant),
}

/** Share of the limit that the kernels reach; tiles that are not full count as full ones. */
const efficiency = 0.8

function costOf(call: OpCall<ConvolutionOp>, { gigaflops, gigabytesPerSecond, microsecondsPerCall }: Limits) {
  const own = ownInputs(call)
  const rank = own[0]!.view.shape.length - 2
  if (own.length !== 2 || rank < 1 || rank > mostSpatialAxes || ![...own, resultOf(call)].every(takes)) return undefined
  const convolution = geometryOf(call)
  const after = imageEpilogueWork(call)
  const units = call.epilogue && unitsOf(call, convolution)
  if (after === undefined || (call.epilogue && !units)) return undefined
  const { batch, groups, inputChannels, outputChannels, positions, window } = convolution
  const [ownInputChannels, ownOutputs] = [inputChannels / groups, outputChannels / groups]
  const rows = roundUp(call.op === 'convolutionBackwardInput' ? ownInputChannels : ownOutputs, 6)
  const depth = call.op === 'convolutionBackwardInput' ? ownOutputs : ownInputChannels
  const columns = units ? batch * roundUp(units.n, 8) : batch * sizeOf(positions)
  const products = groups * rows * depth * columns * sizeOf(window)
  // Each element of a patch is copied once for all rows of a unit, at about the cost of six products, each filter once for many columns.
  const patches = products / (units?.rows ?? rows)
  const filters = products / (units?.columns ?? Math.min(columns, 512))
  const bytes = [...call.inputs, ...call.outputs].reduce((total, operand) => total + bytesOf(operand), 0)
  const computing = (2 * (products + 6 * patches + 2 * filters)) / (1000 * efficiency * gigaflops)
  const following = (2 * after) / (1000 * gigaflops)
  return microsecondsPerCall + Math.max(computing + following, bytes / (1000 * gigabytesPerSecond))
}

/** How a call with an epilogue would be divided by tiles of usual size. */
function unitsOf(call: OpCall<ConvolutionOp>, convolution: Convolution) {
  const single = call.op === 'convolutionBackwardFilter' ? undefined : unitProduct(call.op, convolution)
  return single && unitBlocks(single, convolution, { rows: 6, width: 8 })
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple

type Planner = (convolution: Convolution, tuning: MatmulTuning) => ProductPlan

function planCall(call: OpCall<ConvolutionOp>, { variant }: WasmTarget, planner: Planner): WasmCallPlan {
  const convolution = geometryOf(call)
  const plan = planner(convolution, matmulTuning(variant))
  const target = (byteOffset: number): WasmArgument => ({ kind: 'output', index: 0, byteOffset })
  const steps = plan.products.map(
    (part): WasmStep => ({
      function: (call.op === 'convolutionBackwardFilter' ? filterGradient : product) as unknown as WasmFunction,
      arguments: [
        { kind: 'data', byteOffset: part.descriptor },
        { kind: 'input', index: 0 },
        { kind: 'input', index: 1 },
        target(part.target),
        { kind: 'threadScratch' },
        { kind: 'thread' },
        { kind: 'threads' },
      ],
    }),
  )
  if (call.op === 'convolutionBackwardInput' && !writesWholeInput(convolution)) {
    const bytes = 4 * sizeOf(resultOf(call).view.shape)
    steps.unshift(zeroStep(bytes))
  }
  return { steps, data: plan.words, threadScratchBytes: plan.threadScratchBytes }
}

function planWithEpilogue(
  call: OpCall<'convolution' | 'convolutionBackwardInput'>,
  { variant }: WasmTarget,
): WasmCallPlan {
  const convolution = geometryOf(call)
  const single = unitProduct(call.op, convolution)!
  const plan = planUnits(single, convolution, matmulTuning(variant))
  const after = epiloguePart(call, plan.blocks, plan.batch, imageFollowers(call, convolution.groups)!)
  const { place: stage, end } = stageOf(after, plan.blocks)
  return {
    steps: [
      {
        function: unit as unknown as WasmFunction,
        arguments: [
          { kind: 'data' },
          { kind: 'input', index: 0 },
          { kind: 'input', index: 1 },
          stage,
          { kind: 'threadScratch', byteOffset: end },
          { kind: 'unit' },
        ],
        units: plan.blocks.count,
        after: [invocationOf(after, plan.words.byteLength, stage)],
      },
    ],
    data: joinWords(plan.words, after),
    threadScratchBytes: end + plan.threadScratchBytes,
  }
}

const direct = (planner: Planner): ConvolutionMethod => ({
  costOf,
  plan: (call, target) => planCall(call, target, planner),
  planWithEpilogue,
})

/** Convolution and its gradients in one to three spatial dimensions, with any stride, padding, dilation and groups. */
export const convolutionKernel = kernelOf('convolution', 'wasm-convolution', direct(planForward))
export const convolutionBackwardInputKernel = kernelOf(
  'convolutionBackwardInput',
  'wasm-convolution-backward-input',
  direct(planBackwardInput),
)
export const convolutionBackwardFilterKernel = kernelOf(
  'convolutionBackwardFilter',
  'wasm-convolution-backward-filter',
  direct(planFilterGradient),
)
