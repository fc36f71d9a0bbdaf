import type { Kernel, OpCall, Operand } from '@tessera/core'
import { ownInputs, sizeOf } from '@tessera/core'
import type { ModuleBuilder } from '../assembler/index.ts'
import { mergeAxes } from '../fused/axes.ts'
import type { BlockPart } from '../fused/plan-block.ts'
import type { WasmCallPlan, WasmFunction, WasmStep, WasmTarget } from '../program/contract.ts'
import type { Variant } from '../variant.ts'
import {
  bytesOf,
  epiloguePart,
  epilogueWork,
  followersOf,
  invocationOf,
  joinWords,
  resultOf,
  type Strided,
  stageOf,
} from './epilogue.ts'
import {
  type ElementFormat,
  elementBytes,
  type MatmulFunctions,
  type MatmulPlan,
  type MatrixLayout,
  matmulFunctions,
  matmulPackParameters,
  matmulStreamParameters,
  matmulSumParameters,
  matmulTuning,
  matmulUnitParameters,
  type OperandFormats,
  planMatmul,
} from './matmul/index.ts'

const emitted = new WeakMap<ModuleBuilder, MatmulFunctions>()

/** The functions of the product in a module, made when they are first asked for. */
function functionsIn(module: ModuleBuilder, variant: Variant): MatmulFunctions {
  const known = emitted.get(module)
  if (known) return known
  const made = matmulFunctions(module, variant)
  emitted.set(module, made)
  return made
}

const unitFunction = (formats: OperandFormats): WasmFunction<typeof matmulUnitParameters> => ({
  name: `matmul.unit ${formats.a} ${formats.b}`,
  parameters: matmulUnitParameters,
  define: (module, { variant }) => functionsIn(module, variant).reading(formats).unit,
})
const packFunction = (formats: OperandFormats): WasmFunction<typeof matmulPackParameters> => ({
  name: `matmul.pack ${formats.b}`,
  parameters: matmulPackParameters,
  define: (module, { variant }) => functionsIn(module, variant).reading(formats).pack,
})

/** The most batch axes that one call of the functions takes. */
const mostBatchAxes = 3

const streamFunction = (formats: OperandFormats): WasmFunction<typeof matmulStreamParameters> => ({
  name: `matmul.stream ${formats.a} ${formats.b}`,
  parameters: matmulStreamParameters,
  define: (module, { variant }) => functionsIn(module, variant).reading(formats).stream,
})
const sumFunction: WasmFunction<typeof matmulSumParameters> = {
  name: 'matmul.sum',
  parameters: matmulSumParameters,
  define: (module, { variant }) => functionsIn(module, variant).sum,
}

type ProductOp = 'matmul' | 'widenedMatmul'

const formats: ReadonlySet<string> = new Set<ElementFormat>(['f32', 'f16', 'bf16'])

/** `matmul` of f32, or `widenedMatmul` of operands of which at least one is narrow. */
function isTaken(call: OpCall<ProductOp>): boolean {
  const [a, b] = ownInputs(call)
  const c = resultOf(call)
  if (!a || !b || c.dtype !== 'f32' || [a, b, c].some(({ view }) => view.shape.length < 2)) return false
  const isPlain = a.dtype === 'f32' && b.dtype === 'f32'
  if (call.op === 'matmul') return isPlain
  return !isPlain && formats.has(a.dtype) && formats.has(b.dtype) && sizeOf(c.view.shape) * a.view.shape.at(-1)! > 0
}

const kernelOf = <Op extends ProductOp>(op: Op, name: string): Kernel<Op, 'wasm'> => ({
  name,
  op,
  backend: 'wasm',
  tolerance: 2e-6,
  layouts: 'any',
  epilogues: true,
  cost(given, { gigaflops, gigabytesPerSecond, microsecondsPerCall }) {
    const call = given as unknown as OpCall<ProductOp>
    if (!isTaken(call)) return undefined
    const a = ownInputs(call)[0]!
    const c = resultOf(call)
    const after = workAfter(call)
    if (after === undefined) return undefined
    const depth = a.view.shape.at(-1)!
    const [rows, columns] = c.view.shape.slice(-2) as [number, number]
    const batches = sizeOf(c.view.shape.slice(0, -2))
    // Incomplete tiles cost as much as complete ones; few rows stream the other matrix from memory.
    const tiles = batches * roundUp(rows, rows < 6 ? 1 : 6) * roundUp(columns, 8)
    const bytes = [...call.inputs, ...call.outputs].reduce((sum, operand) => sum + bytesOf(operand), 0)
    const computing = (2 * (tiles * depth + after)) / (1000 * gigaflops)
    return microsecondsPerCall + Math.max(computing, bytes / (1000 * gigabytesPerSecond))
  },
  build: (call) => (target) => planCall(call as unknown as OpCall<ProductOp>, target),
})

/** The packed matrix product of `kernels/matmul`. */
export const matmulKernel = kernelOf('matmul', 'wasm-matmul')

/** The same for f16 and bf16, which are widened where they are packed or, in products of few rows, in the inner loop. */
export const widenedMatmulKernel = kernelOf('widenedMatmul', 'wasm-widened-matmul')

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple

/** Rows of a unit that has whole rows, at the least. */
const leastRows = 24

/** The multiply–adds of the epilogue, or `undefined` where units cannot run it. */
function workAfter(call: OpCall<ProductOp>): number | undefined {
  const { shape } = resultOf(call).view
  const work = epilogueWork(call, sizeOf(shape.slice(0, -1)) / leastRows)
  if (!call.epilogue || work === undefined) return work
  const operands = [...ownInputs(call), resultOf(call), ...followersOf(call)]
  return batchAxes(operands, shape).length > mostBatchAxes ? undefined : work
}

/** The batch axes of some operands, as few as can be; extents are those of `shape`. */
function batchAxes(operands: readonly Strided[], shape: readonly number[]) {
  return mergeAxes(
    shape
      .slice(0, -2)
      .flatMap((extent, axis) =>
        extent === 1 ? [] : [{ extent, strides: operands.map(({ view }) => view.strides[axis]!) }],
      ),
  )
}

function planCall(call: OpCall<ProductOp>, { variant }: WasmTarget): WasmCallPlan {
  const [a, b] = ownInputs(call) as readonly [Operand, Operand]
  const c = resultOf(call)
  const { shape } = c.view
  if (sizeOf(shape) === 0) return { steps: [] }
  const { epilogue } = call
  const operands: readonly Strided[] = [a, b, c, ...followersOf(call)]
  const [m, n] = shape.slice(-2) as [number, number]
  const k = a.view.shape.at(-1)!
  const axes = batchAxes(operands, shape)
  const inner = axes.slice(-mostBatchAxes)
  const layouts = operands.map(({ view }, operand) => {
    const [rowStride, columnStride] = view.strides.slice(-2) as [number, number]
    return { rowStride, columnStride, batchStrides: inner.map(({ strides }) => strides[operand]!) }
  })
  const stored = (layout: MatrixLayout, { dtype }: Operand): MatrixLayout => ({
    ...layout,
    format: dtype as ElementFormat,
  })
  const [left, right] = [stored(layouts[0]!, a), stored(layouts[1]!, b)]
  const plan = planMatmul(
    { m, n, k, batch: inner.map(({ extent }) => extent), a: left, b: right, c: layouts[2]! },
    matmulTuning(variant),
    {
      packsBefore: true,
      isStaged: epilogue !== undefined,
      wholeRows: epilogue?.body.kind === 'row',
      followers: layouts.slice(3),
    },
  )
  if (!epilogue) {
    // Further batch axes are further steps.
    const outer = axes.slice(0, -mostBatchAxes)
    return { ...planSteps(plan, [left, right], positions(outer)), data: plan.descriptor }
  }
  const followers = plan.followers.map(({ batchStrides, rowStride, columnStride }) => [
    ...batchStrides,
    rowStride,
    columnStride,
  ])
  const after = epiloguePart(call, plan.units, plan.batch, followers)
  return { ...planSteps(plan, [left, right], [[0, 0, 0]], after), data: joinWords(plan.descriptor, after) }
}

function planSteps(
  plan: MatmulPlan,
  [left, right]: readonly [MatrixLayout, MatrixLayout],
  offsets: readonly (readonly number[])[],
  after?: BlockPart,
): Omit<WasmCallPlan, 'data'> {
  const { place: stage, end } = stageOf(after, plan.units)
  const steps = offsets.flatMap((offset): WasmStep[] => {
    const a = { kind: 'input', index: 0, byteOffset: elementBytes(left.format!) * offset[0]! } as const
    const b = { kind: 'input', index: 1, byteOffset: elementBytes(right.format!) * offset[1]! } as const
    const c = after ? stage : ({ kind: 'output', index: 0, byteOffset: 4 * offset[2]! } as const)
    const packed = { kind: 'sharedScratch' } as const
    const unit = { kind: 'unit' } as const
    const pack: WasmStep = {
      function: packFunction(plan.formats) as unknown as WasmFunction,
      arguments: [{ kind: 'data' }, a, b, packed, unit],
      units: plan.packUnits,
    }
    const afterwards = after && { after: [invocationOf(after, plan.descriptor.byteLength, stage)] }
    if (plan.depthUnits > 0) {
      const stream: WasmStep = {
        function: streamFunction(plan.formats) as unknown as WasmFunction,
        arguments: [{ kind: 'data' }, a, b, packed, unit],
        units: plan.depthUnits,
      }
      const sum: WasmStep = {
        function: sumFunction as unknown as WasmFunction,
        arguments: [{ kind: 'data' }, packed, c, unit],
        units: plan.units.count,
        ...afterwards,
      }
      return [stream, sum]
    }
    const compute: WasmStep = {
      function: unitFunction(plan.formats) as unknown as WasmFunction,
      arguments: [
        { kind: 'data' },
        a,
        b,
        { kind: 'i32', value: 0 },
        c,
        packed,
        { kind: 'threadScratch', byteOffset: end },
        unit,
      ],
      units: plan.units.count,
      ...afterwards,
    }
    return plan.packUnits > 0 ? [pack, compute] : [compute]
  })
  return {
    steps,
    sharedScratchBytes: plan.packedBytes,
    threadScratchBytes: end + plan.scratchBytes(1),
  }
}

/** The element offsets of every point of some axes, one for each operand. */
function positions(axes: readonly { readonly extent: number; readonly strides: readonly number[] }[]): number[][] {
  let points = [[0, 0, 0]]
  for (const { extent, strides } of axes) {
    points = points.flatMap((point) =>
      Array.from({ length: extent }, (_, index) => point.map((offset, operand) => offset + index * strides[operand]!)),
    )
  }
  return points
}
