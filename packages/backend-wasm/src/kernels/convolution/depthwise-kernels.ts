import type { Limits, OpCall } from '@tessera/core'
import { ownInputs, sizeOf } from '@tessera/core'
import type { WasmCallPlan, WasmFunction, WasmStep, WasmTarget } from '../../program/contract.ts'
import { bytesOf, epiloguePart, invocationOf, joinWords, resultOf, stageOf } from '../epilogue.ts'
import { matmulTuning } from '../matmul/index.ts'
import { imageEpilogueWork, imageFollowers } from './after.ts'
import { type ConvolutionOp, geometryOf, takes, zeroStep } from './calls.ts'
import { depthwiseParameters, emitDepthwise, emitDepthwiseFilter } from './depthwise.ts'
import { isDepthwise, planDepthwise } from './depthwise-plan.ts'
import { type ConvolutionMethod, kernelOf } from './kernel-of.ts'
import { backwardInputProducts, forwardProducts, mostSpatialAxes, type Product, writesWholeInput } from './problems.ts'
import { unitProduct } from './units.ts'

const unit: WasmFunction<typeof depthwiseParameters> = {
  name: 'depthwise',
  parameters: depthwiseParameters,
  define: (module, { variant }) => emitDepthwise(module, variant),
}
const filterUnit: WasmFunction<typeof depthwiseParameters> = {
  name: 'depthwiseFilter',
  parameters: depthwiseParameters,
  define: (module, { variant }) => emitDepthwiseFilter(module, variant),
}

/** Share of the limit that products of vectors from the nearest cache reach, and products in the time of copying one float into a band. */
const efficiency = 0.35
const padding = 4

function costOf(call: OpCall<ConvolutionOp>, { gigaflops, gigabytesPerSecond, microsecondsPerCall }: Limits) {
  const own = ownInputs(call)
  const rank = own[0]!.view.shape.length - 2
  if (own.length !== 2 || rank < 1 || rank > mostSpatialAxes || ![...own, resultOf(call)].every(takes)) return undefined
  const convolution = geometryOf(call)
  if (!isDepthwise(convolution)) return undefined
  const isGradient = call.op === 'convolutionBackwardFilter'
  if (call.epilogue && (isGradient || !unitProduct(call.op as 'convolution', convolution))) return undefined
  const after = imageEpilogueWork(call)
  if (after === undefined) return undefined
  const { batch, groups, inputChannels, outputChannels, positions, extents, window } = convolution
  const products = (batch * outputChannels * inputChannels * sizeOf(positions) * sizeOf(window)) / groups
  const copied = batch * inputChannels * sizeOf(extents)
  const bytes = [...call.inputs, ...call.outputs].reduce((total, operand) => total + bytesOf(operand), 0)
  const computing =
    (2 * (products + padding * copied)) / (1000 * efficiency * gigaflops) + (2 * after) / (1000 * gigaflops)
  return microsecondsPerCall + Math.max(computing, bytes / (1000 * gigabytesPerSecond))
}

/** One step for each product; `isStaged` has the result of a unit in scratch memory. */
function stepOf(
  call: OpCall<ConvolutionOp>,
  plan: { readonly descriptor: number; readonly count: number },
  target: WasmStep['arguments'][number],
  scratch: number,
): WasmStep {
  return {
    function: (call.op === 'convolutionBackwardFilter' ? filterUnit : unit) as unknown as WasmFunction,
    arguments: [
      { kind: 'data', byteOffset: plan.descriptor },
      { kind: 'input', index: 0 },
      { kind: 'input', index: 1 },
      target,
      { kind: 'threadScratch', byteOffset: scratch },
      { kind: 'unit' },
    ],
    units: plan.count,
  }
}

function planCall(call: OpCall<ConvolutionOp>, { variant }: WasmTarget): WasmCallPlan {
  const convolution = geometryOf(call)
  const isBackward = call.op === 'convolutionBackwardInput'
  const products: readonly Product[] = isBackward ? backwardInputProducts(convolution) : forwardProducts(convolution)
  const words: number[] = []
  let threadScratchBytes = 0
  const steps = products.map((product) => {
    const isGradient = call.op === 'convolutionBackwardFilter'
    const plan = planDepthwise(product, convolution, matmulTuning(variant), { isGradient })
    const descriptor = 4 * words.length
    words.push(...plan.words)
    threadScratchBytes = Math.max(threadScratchBytes, plan.threadScratchBytes)
    const target = { kind: 'output', index: 0, byteOffset: product.start } as const
    return stepOf(call, { descriptor, count: plan.count }, target, 0)
  })
  if (isBackward && !writesWholeInput(convolution)) steps.unshift(zeroStep(4 * sizeOf(resultOf(call).view.shape)))
  return { steps, data: Int32Array.from(words), threadScratchBytes }
}

function planWithEpilogue(
  call: OpCall<'convolution' | 'convolutionBackwardInput'>,
  { variant }: WasmTarget,
): WasmCallPlan {
  const convolution = geometryOf(call)
  const product = unitProduct(call.op, convolution)!
  const plan = planDepthwise(product, convolution, matmulTuning(variant), { isStaged: true })
  const { rows, groups, gridY, gridX } = product.problem
  const positions = gridY * gridX
  const blocks = {
    rows: plan.unitGroups * rows,
    columns: positions,
    rowUnits: plan.units,
    columnUnits: 1,
    m: groups * rows,
    n: positions,
  }
  const followers = imageFollowers(call, 1)!.map(([image, , channel, position]) => [image!, channel!, position!])
  const after = epiloguePart(call, blocks, [convolution.batch], followers)
  const { place: stage, end } = stageOf(after, blocks)
  const words = Int32Array.from(plan.words)
  const step = stepOf(call, { descriptor: 0, count: plan.count }, stage, end)
  return {
    steps: [{ ...step, after: [invocationOf(after, words.byteLength, stage)] }],
    data: joinWords(words, after),
    threadScratchBytes: end + plan.threadScratchBytes,
  }
}

const depthwise: ConvolutionMethod = { costOf, plan: planCall, planWithEpilogue }

/** Convolutions in one or two dimensions of groups of few channels, above all of one each, and their gradients. */
export const depthwiseConvolutionKernel = kernelOf('convolution', 'wasm-depthwise-convolution', depthwise)
export const depthwiseConvolutionBackwardInputKernel = kernelOf(
  'convolutionBackwardInput',
  'wasm-depthwise-convolution-backward-input',
  depthwise,
)
export const depthwiseConvolutionBackwardFilterKernel = kernelOf(
  'convolutionBackwardFilter',
  'wasm-depthwise-convolution-backward-filter',
  depthwise,
)
