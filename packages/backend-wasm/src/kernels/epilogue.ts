import type { FusedBody, OpCall, Operand, View } from '@tessera/core'
import { formatOf, resultBuffer, sizeOf } from '@tessera/core'
import type { PlacedOperand } from '../fused/body.ts'
import { generatedArguments } from '../fused/generate.ts'
import { laneKindOf } from '../fused/operations.ts'
import { type BlockPart, type Blocks, planBlock } from '../fused/plan-block.ts'
import { opWeight } from '../fused/weights.ts'
import type { WasmArgument, WasmInvocation } from '../program/contract.ts'

export { resultOf } from '@tessera/core'

/** Longest row that an epilogue may reduce: its units hold whole rows of the result in the thread's scratch. */
const longestRow = 4096

/** Bytes that an operand has in memory. */
export function bytesOf({ view, dtype }: Operand): number {
  return view.shape.reduce(
    (bytes, extent, axis) => (view.strides[axis] === 0 ? bytes : bytes * extent),
    formatOf(dtype).bytes,
  )
}

/**
 * The multiply–adds that an epilogue's vector instructions take the time of; 0 without one, `undefined` for one that cannot run on the
 * rectangles of units.
 *
 * @param units how many units of whole rows there would be
 */
export function epilogueWork({ epilogue, inputs, outputs }: OpCall, units: number): number | undefined {
  if (!epilogue) return 0
  const { body, firstInput } = epilogue
  const { shape } = epilogue.result
  const operands = [...inputs.slice(firstInput), ...outputs]
  const isKnown = [...operands, ...body.instructions].every(({ dtype }) => laneKindOf(dtype) !== undefined)
  if (!isKnown || operands.some(({ view }) => view.shape.length !== shape.length)) return undefined
  // Few units would leave threads without work.
  if (body.kind === 'row' && (body.rowAxes !== 1 || shape.at(-1)! > longestRow || units < leastRowUnits))
    return undefined
  let weight = 0
  for (const instruction of body.instructions) {
    if (instruction.kind === 'compute') weight += opWeight(instruction.op, instruction.dtype === 'f32')
    else if (instruction.kind === 'reduce') weight += 1
  }
  return weight * sizeOf(shape)
}

/** Units of whole rows from which on an epilogue of rows may follow. */
const leastRowUnits = 4

/** A view whose strides alone count. */
export type Strided = { readonly view: Pick<View, 'strides'> }

/** The operands and counters of a call's epilogue: what is divided into units together with the result. */
export function followersOf({ epilogue, inputs, outputs }: OpCall): readonly Strided[] {
  if (!epilogue) return []
  const iotas = epilogue.body.instructions.flatMap((instruction) =>
    instruction.kind === 'iota' ? [{ view: { strides: instruction.strides } }] : [],
  )
  return [...inputs.slice(epilogue.firstInput), ...outputs, ...iotas]
}

/**
 * The epilogue over the axes that a plan has made of the result's.
 *
 * @param batch extents of the axes before rows and columns
 * @param followers strides of `followersOf` along batch axes, rows and columns
 */
export function epiloguePart(
  call: OpCall,
  blocks: Blocks,
  batch: readonly number[],
  followers: readonly (readonly number[])[],
): BlockPart {
  const { body, firstInput } = call.epilogue!
  const domain = [...batch, blocks.m, blocks.n]
  let next = 0
  const place = (operand: Operand, at: PlacedOperand['place']): PlacedOperand => ({
    ...operand,
    view: { shape: domain, strides: followers[next++]!, offset: operand.view.offset },
    place: at,
  })
  const result: PlacedOperand = {
    buffer: resultBuffer,
    dtype: 'f32',
    view: { shape: domain, strides: [...batch.map(() => 0), blocks.columns, 1], offset: 0 },
    place: { kind: 'threadScratch' },
  }
  const own = call.inputs.slice(firstInput).map((input, i) => place(input, { kind: 'input', index: firstInput + i }))
  const outputs = call.outputs.map((output, index) => place(output, { kind: 'output', index }))
  const instructions: FusedBody['instructions'] = body.instructions.map((instruction) =>
    instruction.kind === 'iota' ? { ...instruction, strides: followers[next++]! } : instruction,
  )
  return planBlock({ ...body, domain, instructions }, [result, ...own], outputs, blocks)
}

/** How the scratch memory of a thread is divided: that of the epilogue, the result of a unit, then the rest. */
export function stageOf(part: BlockPart | undefined, { rows, columns }: Pick<Blocks, 'rows' | 'columns'>) {
  const byteOffset = roundUp(part?.threadScratchBytes ?? 0, 64)
  const bytes = part ? roundUp(4 * rows * columns, 64) : 0
  return { place: { kind: 'threadScratch', byteOffset } as const, end: byteOffset + bytes }
}

/** What runs after each unit: the function of an epilogue whose words stand at `byteOffset` of the call's data. */
export function invocationOf(part: BlockPart, byteOffset: number, stage: WasmArgument): WasmInvocation {
  const [data, shared, own, ...rest] = generatedArguments(part.body, byteOffset)
  // The first thread scratch is the epilogue's own; an operand there is the result of the unit.
  const given = rest.map((argument) => (argument.kind === 'threadScratch' ? stage : argument))
  return { function: part.function, arguments: [data!, shared!, own!, ...given] }
}

/** The words of a kernel and those of its epilogue, as the data of a call. */
export function joinWords(own: Int32Array, part: BlockPart | undefined): Int32Array {
  return part ? Int32Array.from([...own, ...part.words.toArray()]) : own
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple
