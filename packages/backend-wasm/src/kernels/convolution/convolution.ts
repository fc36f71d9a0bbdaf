import type { ConvolutionGeometry, Kernel, Limits, OpCall, Operand } from '@tessera/core'
import { isRowMajor, sizeOf } from '@tessera/core'
import { i32 } from '../../assembler/index.ts'
import type { WasmArgument, WasmCallPlan, WasmFunction, WasmStep, WasmTarget } from '../../program/contract.ts'
import { matmulTuning } from '../matmul/index.ts'
import type { MatmulTuning } from '../matmul/tuning.ts'
import { emitFilterGradient } from './filter-gradient.ts'
import {
  type Convolution,
  type ConvolutionShapes,
  mostSpatialAxes,
  type ProductPlan,
  planBackwardInput,
  planFilterGradient,
  planForward,
  toThreeAxes,
  writesWholeInput,
} from './plan.ts'
import { emitProduct, productParameters } from './product.ts'

type ConvolutionOp = 'convolution' | 'convolutionBackwardInput' | 'convolutionBackwardFilter'

const product: WasmFunction<typeof productParameters> = {
  name: 'convolution',
  parameters: productParameters,
  define: (module, { variant }) => emitProduct(module, variant),
}

const filterGradient: WasmFunction<typeof productParameters> = {
  name: 'convolutionFilterGradient',
  parameters: productParameters,
  define: (module, { variant }) => emitFilterGradient(module, variant),
}

const zeroParameters = { target: 'i32', bytes: 'i32', thread: 'i32', threads: 'i32' } as const

/** Every thread fills its share of a target, in units of four bytes, with zeros. */
const zeros: WasmFunction<typeof zeroParameters> = {
  name: 'convolutionZeros',
  parameters: zeroParameters,
  define: (module) =>
    module.function('convolutionZeros', zeroParameters, 'void', (fn, { target, bytes, thread, threads }) => {
      const share = fn.local('i32', 'share', i32.and(i32.divU(i32.add(bytes, i32.mul(threads, 4)), threads), -4))
      const start = fn.local('i32', 'start', i32.mul(share, thread))
      const end = fn.local('i32', 'end', i32.add(start, share))
      fn.if(i32.gtU(end, bytes), () => fn.set(end, bytes))
      fn.if(i32.ltU(start, end), () => fn.memoryFill(i32.add(target, start), 0, i32.sub(end, start)))
    }),
}

/** The convolution that an op belongs to. */
function shapesOf(call: OpCall<ConvolutionOp>): ConvolutionShapes {
  const [first, second] = call.inputs.map(({ view }) => view.shape) as [readonly number[], readonly number[]]
  const result = call.outputs[0]!.view.shape
  if (call.op === 'convolution') return { input: first, filter: second, output: result }
  if (call.op === 'convolutionBackwardInput') return { input: result, filter: second, output: first }
  return { input: first, filter: result, output: second }
}

const geometryOf = (call: OpCall<ConvolutionOp>): Convolution =>
  toThreeAxes(shapesOf(call), call.attributes as ConvolutionGeometry)

const takes = (operand: Operand): boolean =>
  operand.dtype === 'f32' && isRowMajor(operand.view) && sizeOf(operand.view.shape) > 0

/** Share of the limit that the kernels reach; tiles that are not full count as full ones. */
const efficiency = 0.8

function costOf(call: OpCall<ConvolutionOp>, { gigaflops, gigabytesPerSecond, microsecondsPerCall }: Limits) {
  const operands = [...call.inputs, ...call.outputs]
  const rank = call.inputs[0]!.view.shape.length - 2
  if (call.inputs.length !== 2 || rank < 1 || rank > mostSpatialAxes || !operands.every(takes)) return undefined
  const { batch, groups, inputChannels, outputChannels, positions, window } = geometryOf(call)
  const [ownInputs, ownOutputs] = [inputChannels / groups, outputChannels / groups]
  const rows = roundUp(call.op === 'convolutionBackwardInput' ? ownInputs : ownOutputs, 6)
  const depth = call.op === 'convolutionBackwardInput' ? ownOutputs : ownInputs
  const products = 2 * batch * groups * rows * depth * sizeOf(positions) * sizeOf(window)
  // Each element of a patch is copied once for all rows, at about the cost of six products.
  const packing = products / rows
  const bytes = 4 * operands.reduce((total, { view }) => total + sizeOf(view.shape), 0)
  const computing = (products + 6 * packing) / (1000 * efficiency * gigaflops)
  return microsecondsPerCall + Math.max(computing, bytes / (1000 * gigabytesPerSecond))
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
    const bytes = 4 * sizeOf(call.outputs[0]!.view.shape)
    steps.unshift({
      function: zeros as unknown as WasmFunction,
      arguments: [target(0), { kind: 'i32', value: bytes }, { kind: 'thread' }, { kind: 'threads' }],
    })
  }
  return { steps, data: plan.words, threadScratchBytes: plan.threadScratchBytes }
}

function kernelOf<Op extends ConvolutionOp>(op: Op, name: string, planner: Planner): Kernel<Op, 'wasm'> {
  return {
    name,
    op,
    backend: 'wasm',
    tolerance: 2e-6,
    cost: (call, limits) => costOf(call as unknown as OpCall<ConvolutionOp>, limits),
    build: (call) => (target) => planCall(call as unknown as OpCall<ConvolutionOp>, target, planner),
  }
}

/** Convolution and its gradients in one to three spatial dimensions, with any stride, padding, dilation and groups. */
export const convolutionKernel = kernelOf('convolution', 'wasm-convolution', planForward)
export const convolutionBackwardInputKernel = kernelOf(
  'convolutionBackwardInput',
  'wasm-convolution-backward-input',
  planBackwardInput,
)
export const convolutionBackwardFilterKernel = kernelOf(
  'convolutionBackwardFilter',
  'wasm-convolution-backward-filter',
  planFilterGradient,
)
