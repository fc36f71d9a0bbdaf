import type { FusedBody, Kernel, OpCall, Operand, View } from '@tessera/core'
import { formatOf, ownInputs, rowMajorView, sizeOf } from '@tessera/core'
import type { ModuleBuilder } from '../assembler/index.ts'
import { mergeAxes } from '../fused/axes.ts'
import type { PlacedOperand } from '../fused/body.ts'
import { generatedArguments } from '../fused/generate.ts'
import { laneKindOf } from '../fused/operations.ts'
import { type BlockPart, planBlock } from '../fused/plan-block.ts'
import { opWeight } from '../fused/weights.ts'
import type { WasmCallPlan, WasmFunction, WasmStep, WasmTarget } from '../program/contract.ts'
import type { Variant } from '../variant.ts'
import {
  type MatmulFunctions,
  type MatmulPlan,
  matmulFunctions,
  matmulPackParameters,
  matmulTuning,
  matmulUnitParameters,
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

const unitFunction: WasmFunction<typeof matmulUnitParameters> = {
  name: 'matmul.unit',
  parameters: matmulUnitParameters,
  define: (module, { variant }) => functionsIn(module, variant).unit,
}
const packFunction: WasmFunction<typeof matmulPackParameters> = {
  name: 'matmul.pack',
  parameters: matmulPackParameters,
  define: (module, { variant }) => functionsIn(module, variant).pack,
}

/** The most batch axes that one call of the functions takes. */
const mostBatchAxes = 3
/** Longest row that an epilogue may reduce: its units hold whole rows of the result in the thread's scratch. */
const longestRow = 4096

/** The packed matrix product of `kernels/matmul`. */
export const matmulKernel: Kernel<'matmul', 'wasm'> = {
  name: 'wasm-matmul',
  op: 'matmul',
  backend: 'wasm',
  tolerance: 2e-6,
  layouts: 'any',
  epilogues: true,
  cost(call, { gigaflops, gigabytesPerSecond, microsecondsPerCall }) {
    const [a, b] = ownInputs(call)
    const c = resultOf(call)
    if (!a || !b || ![a, b, c].every(({ dtype, view }) => dtype === 'f32' && view.shape.length >= 2)) return undefined
    const after = epilogueWork(call)
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
  build: (call) => (target) => planCall(call, target),
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple

/** Bytes that an operand has in memory. */
function bytesOf({ view, dtype }: Operand): number {
  return view.shape.reduce(
    (bytes, extent, axis) => (view.strides[axis] === 0 ? bytes : bytes * extent),
    formatOf(dtype).bytes,
  )
}

/** What the product itself gives. */
function resultOf({ epilogue, outputs }: OpCall<'matmul'>): Operand {
  if (!epilogue) return outputs[0]!
  return { buffer: staged, dtype: epilogue.result.dtype, view: rowMajorView(epilogue.result.shape) }
}

/** No buffer of a program has this id. */
const staged = -1

/** The multiply–adds that an epilogue's vector instructions take the time of, or `undefined` for one that units cannot run. */
function epilogueWork(call: OpCall<'matmul'>): number | undefined {
  if (!call.epilogue) return 0
  const { body, firstInput } = call.epilogue
  const { shape } = call.epilogue.result
  const followers = [...call.inputs.slice(firstInput), ...call.outputs]
  const operands = [...ownInputs(call), resultOf(call), ...followers]
  const isKnown = [...followers, ...body.instructions].every(({ dtype }) => laneKindOf(dtype) !== undefined)
  const fits = operands.every(({ view }) => view.shape.length === shape.length)
  if (!isKnown || !fits || batchAxes(operands, shape).length > mostBatchAxes) return undefined
  if (body.kind === 'row' && (body.rowAxes !== 1 || shape.at(-1)! > longestRow)) return undefined
  let weight = 0
  for (const instruction of body.instructions) {
    if (instruction.kind === 'compute') weight += opWeight(instruction.op, instruction.dtype === 'f32')
    else if (instruction.kind === 'reduce') weight += 1
  }
  return weight * sizeOf(shape)
}

/** The batch axes of some operands, as few as can be; extents are those of `shape`. */
function batchAxes(operands: readonly { readonly view: Pick<View, 'strides'> }[], shape: readonly number[]) {
  return mergeAxes(
    shape
      .slice(0, -2)
      .flatMap((extent, axis) =>
        extent === 1 ? [] : [{ extent, strides: operands.map(({ view }) => view.strides[axis]!) }],
      ),
  )
}

function planCall(call: OpCall<'matmul'>, { variant }: WasmTarget): WasmCallPlan {
  const [a, b] = ownInputs(call) as readonly [Operand, Operand]
  const c = resultOf(call)
  const { shape } = c.view
  if (sizeOf(shape) === 0) return { steps: [] }
  const { epilogue } = call
  const followers = epilogue ? followersOf(call, epilogue.body) : []
  const operands: readonly { readonly view: Pick<View, 'strides'> }[] = [a, b, c, ...followers]
  const [m, n] = shape.slice(-2) as [number, number]
  const k = a.view.shape.at(-1)!
  const axes = batchAxes(operands, shape)
  const inner = axes.slice(-mostBatchAxes)
  const layouts = operands.map(({ view }, operand) => {
    const [rowStride, columnStride] = view.strides.slice(-2) as [number, number]
    return { rowStride, columnStride, batchStrides: inner.map(({ strides }) => strides[operand]!) }
  })
  const plan = planMatmul(
    { m, n, k, batch: inner.map(({ extent }) => extent), a: layouts[0]!, b: layouts[1]!, c: layouts[2]! },
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
    return { ...planSteps(plan, positions(outer)), data: plan.descriptor }
  }
  const after = epiloguePart(call, epilogue.body, plan)
  const words = after.words.toArray()
  const data = new Int32Array(plan.descriptor.length + words.length)
  data.set(plan.descriptor)
  data.set(words, plan.descriptor.length)
  return { ...planSteps(plan, [[0, 0, 0]], after), data }
}

/** The operands and counters of an epilogue: what is divided into units together with the result. */
function followersOf(call: OpCall<'matmul'>, body: FusedBody): readonly { readonly view: Pick<View, 'strides'> }[] {
  const iotas = body.instructions.flatMap((instruction) =>
    instruction.kind === 'iota' ? [{ view: { strides: instruction.strides } }] : [],
  )
  return [...call.inputs.slice(call.epilogue!.firstInput), ...call.outputs, ...iotas]
}

/** The epilogue over the axes that the plan has made of the result's. */
function epiloguePart(call: OpCall<'matmul'>, body: FusedBody, { units, batch, followers }: MatmulPlan): BlockPart {
  const domain = [...batch, units.m, units.n]
  const strides = followers.map(({ batchStrides, rowStride, columnStride }) => [
    ...batchStrides,
    rowStride,
    columnStride,
  ])
  let next = 0
  const place = (operand: Operand, at: PlacedOperand['place']): PlacedOperand => ({
    ...operand,
    view: { shape: domain, strides: strides[next++]!, offset: operand.view.offset },
    place: at,
  })
  const { firstInput } = call.epilogue!
  const result: PlacedOperand = {
    buffer: staged,
    dtype: 'f32',
    view: { shape: domain, strides: [...batch.map(() => 0), units.columns, 1], offset: 0 },
    place: { kind: 'threadScratch' },
  }
  const own = call.inputs.slice(firstInput).map((input, i) => place(input, { kind: 'input', index: firstInput + i }))
  const outputs = call.outputs.map((output, index) => place(output, { kind: 'output', index }))
  const instructions = body.instructions.map((instruction) =>
    instruction.kind === 'iota' ? { ...instruction, strides: strides[next++]! } : instruction,
  )
  return planBlock({ ...body, domain, instructions }, [result, ...own], outputs, units)
}

/** The scratch memory of a thread: that of the epilogue, the result of a unit, that of the product. */
function planSteps(
  plan: MatmulPlan,
  offsets: readonly (readonly number[])[],
  after?: BlockPart,
): Omit<WasmCallPlan, 'data'> {
  const stageOffset = roundUp(after?.threadScratchBytes ?? 0, 64)
  const ownOffset = stageOffset + (after ? roundUp(4 * plan.units.rows * plan.units.columns, 64) : 0)
  const stage = { kind: 'threadScratch', byteOffset: stageOffset } as const
  const following = after && [
    {
      function: after.function,
      arguments: generatedArguments(after.body, 4 * plan.descriptor.length).map((argument, i) =>
        // The first thread scratch is the epilogue's own; an operand there is the result of the unit.
        argument.kind === 'threadScratch' && i > 2 ? stage : argument,
      ),
    },
  ]
  const steps = offsets.flatMap((offset): WasmStep[] => {
    const a = { kind: 'input', index: 0, byteOffset: 4 * offset[0]! } as const
    const b = { kind: 'input', index: 1, byteOffset: 4 * offset[1]! } as const
    const c = after ? stage : ({ kind: 'output', index: 0, byteOffset: 4 * offset[2]! } as const)
    const packed = { kind: 'sharedScratch' } as const
    const unit = { kind: 'unit' } as const
    const pack: WasmStep = {
      function: packFunction as unknown as WasmFunction,
      arguments: [{ kind: 'data' }, a, b, packed, unit],
      units: plan.packUnits,
    }
    const compute: WasmStep = {
      function: unitFunction as unknown as WasmFunction,
      arguments: [
        { kind: 'data' },
        a,
        b,
        { kind: 'i32', value: 0 },
        c,
        packed,
        { kind: 'threadScratch', byteOffset: ownOffset },
        unit,
      ],
      units: plan.units.count,
      ...(following && { after: following }),
    }
    return plan.packUnits > 0 ? [pack, compute] : [compute]
  })
  return {
    steps,
    sharedScratchBytes: plan.packedBytes,
    threadScratchBytes: ownOffset + plan.scratchBytes(1),
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
