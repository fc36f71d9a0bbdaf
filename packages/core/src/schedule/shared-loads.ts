import type { FusedBody, FusedInstruction } from '../graph/operations.ts'
import type { DraftOperand } from './link.ts'

/**
 * Reads each place in memory once: values that a barrier keeps apart in the graph may lie in the same place, and loops that read both need neither load it
 * nor compute the same from it twice.
 */
export function shareLoads(
  body: FusedBody,
  inputs: readonly DraftOperand[],
): { body: FusedBody; inputs: readonly DraftOperand[] } {
  const kept: DraftOperand[] = []
  const positions = inputs.map((operand) => {
    const known = kept.findIndex((other) => isSame(other, operand))
    return known < 0 ? kept.push(operand) - 1 : known
  })
  if (kept.length === inputs.length) return { body, inputs }
  const instructions: FusedInstruction[] = []
  const known = new Map<string, number>()
  const moved: number[] = []
  for (const old of body.instructions) {
    const instruction = renumbered(old, positions, moved)
    const key = JSON.stringify(instruction)
    const position = known.get(key) ?? instructions.push(instruction) - 1
    known.set(key, position)
    moved.push(position)
  }
  return { body: { ...body, instructions, stores: body.stores.map((store) => moved[store]!) }, inputs: kept }
}

function isSame(a: DraftOperand, b: DraftOperand): boolean {
  return (
    a.block === b.block &&
    a.dtype === b.dtype &&
    a.view.offset === b.view.offset &&
    a.view.strides.every((stride, axis) => stride === b.view.strides[axis])
  )
}

function renumbered(
  instruction: FusedInstruction,
  inputs: readonly number[],
  instructions: readonly number[],
): FusedInstruction {
  switch (instruction.kind) {
    case 'load':
      return { ...instruction, input: inputs[instruction.input]! }
    case 'compute':
      return { ...instruction, arguments: instruction.arguments.map((argument) => instructions[argument]!) }
    case 'reduce':
      return { ...instruction, argument: instructions[instruction.argument]! }
    default:
      return instruction
  }
}
