import type { FusedBody, FusedInstruction } from '../../graph/operations.ts'

/** Instructions that are computed together, block by block, in one run over a row. */
export interface Pass {
  readonly instructions: readonly number[]
  /** The reductions among them, whose results only later passes see. */
  readonly reductions: readonly number[]
}

const argumentsOf = (instruction: FusedInstruction): readonly number[] =>
  instruction.kind === 'compute' ? instruction.arguments : instruction.kind === 'reduce' ? [instruction.argument] : []

/** Which instructions have one value per row: those that no load or iota with a stride along the row goes into. */
export function perRowInstructions(body: FusedBody, variesAlongRow: (instruction: number) => boolean): boolean[] {
  const perRow: boolean[] = []
  body.instructions.forEach((instruction, i) => {
    if (instruction.kind === 'reduce' || instruction.kind === 'constant') perRow.push(true)
    else if (instruction.kind === 'compute') perRow.push(instruction.arguments.every((argument) => perRow[argument]))
    else perRow.push(!variesAlongRow(i))
  })
  return perRow
}

/**
 * Cuts a row body into runs over the row: a reduction must have seen the whole row before anything uses its result. The
 * last pass is the one that stores.
 *
 * @param keepsValues whether values live on from pass to pass (the row fits a block); else each pass computes anew what it
 * needs, down to the loads.
 */
export function planPasses(body: FusedBody, keepsValues: boolean): Pass[] {
  const { instructions } = body
  const level: number[] = []
  for (const instruction of instructions) {
    const before = Math.max(0, ...argumentsOf(instruction).map((argument) => level[argument]!))
    level.push(instruction.kind === 'reduce' ? before + 1 : before)
  }
  const isReduction = (i: number): boolean => instructions[i]!.kind === 'reduce'
  const all = instructions.map((_, i) => i)
  const last = Math.max(0, ...level)

  return Array.from({ length: last + 1 }, (_, number) => {
    const reductions = all.filter((i) => isReduction(i) && level[i] === number + 1)
    if (keepsValues) {
      const own = all.filter((i) => (isReduction(i) ? level[i] === number + 1 : level[i] === number))
      return { instructions: own, reductions }
    }
    const needed = new Set(reductions)
    if (number === last) for (const stored of body.stores) if (!isReduction(stored)) needed.add(stored)
    for (let i = instructions.length - 1; i >= 0; i--) {
      if (!needed.has(i)) continue
      for (const argument of argumentsOf(instructions[i]!)) if (!isReduction(argument)) needed.add(argument)
    }
    return { instructions: all.filter((i) => needed.has(i)), reductions }
  })
}
