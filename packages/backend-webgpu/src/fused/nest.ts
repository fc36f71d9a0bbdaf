import type { FusedBody, FusedInstruction, Operand, Shape, View } from '@tessera/core'
import type { AccessWish } from '../wgsl/shader.ts'

/** Something that the loops of a body address: an operand, or the value of an iota. */
export interface Walk {
  readonly name: string
  readonly strides: readonly number[]
  /** Absent for iotas, and for the result that an epilogue starts from. */
  readonly wish?: AccessWish
}

/** A fused body taken apart: what its loops walk over. */
export interface Nest {
  readonly body: FusedBody
  readonly inputs: readonly Walk[]
  readonly outputs: readonly Walk[]
  /** By instruction. */
  readonly iotas: readonly (Walk | undefined)[]
  readonly walks: readonly Walk[]
  /** Whether invocations compute four elements side by side along the last axis. */
  readonly quads: boolean
  readonly wishes: readonly AccessWish[]
}

/**
 * @param inputs operands of the body's loads; `undefined` for a value that is not in memory
 * @param mayUseQuads false computes element by element
 */
export function takeApart(
  body: FusedBody,
  inputs: readonly (Operand | undefined)[],
  outputs: readonly Operand[],
  mayUseQuads = true,
): Nest {
  const { domain, instructions } = body
  const quads = mayUseQuads && domain.length > 0 && domain.at(-1)! % 4 === 0
  const walkOf = (name: string, operand: Operand | undefined, writes: boolean): Walk => {
    if (!operand) return { name, strides: domain.map(() => 0) }
    const wish = { operand, writes, quads: quads && byQuads(operand.view) }
    return { name, strides: operand.view.strides, wish }
  }
  const read = inputs.map((operand, i) => walkOf(`input${i}`, operand, false))
  const written = outputs.map((operand, i) => walkOf(`output${i}`, operand, true))
  const iotas = instructions.map((instruction, i): Walk | undefined =>
    instruction.kind === 'iota' ? { name: `iota${i}`, strides: instruction.strides } : undefined,
  )
  const walks = [...read, ...written, ...iotas.filter((walk) => walk !== undefined)]
  return {
    body,
    inputs: read,
    outputs: written,
    iotas,
    walks,
    quads,
    wishes: walks.flatMap(({ wish }) => (wish ? [wish] : [])),
  }
}

/** The same nest, computed element by element. */
export const withoutQuads = ({ body, inputs, outputs }: Nest): Nest =>
  takeApart(
    body,
    inputs.map(({ wish }) => wish?.operand),
    outputs.map(({ wish }) => wish!.operand),
    false,
  )

/** True when every four elements along the last axis stand together, from a multiple of four on. */
function byQuads({ strides, offset }: View): boolean {
  return strides.at(-1) === 1 && offset % 4 === 0 && strides.slice(0, -1).every((stride) => stride % 4 === 0)
}

/** True when the walk moves along some of the axes `[start, end)`. */
export const movesAlong = (domain: Shape, start: number, end: number, { strides }: Walk): boolean =>
  domain.some((extent, axis) => axis >= start && axis < end && extent !== 1 && strides[axis] !== 0)

export const argumentsOf = (instruction: FusedInstruction): readonly number[] =>
  instruction.kind === 'compute' ? instruction.arguments : instruction.kind === 'reduce' ? [instruction.argument] : []

/** Which instructions have one value for all indices of some axes: those that nothing which varies along them goes into. */
export function constantAlong(nest: Nest, varies: (walk: Walk) => boolean): boolean[] {
  const constant: boolean[] = []
  nest.body.instructions.forEach((instruction, i) => {
    switch (instruction.kind) {
      case 'constant':
      case 'reduce':
        constant.push(true)
        break
      case 'load':
        constant.push(!varies(nest.inputs[instruction.input]!))
        break
      case 'iota':
        constant.push(!varies(nest.iotas[i]!))
        break
      default:
        constant.push(instruction.arguments.every((argument) => constant[argument]))
    }
  })
  return constant
}

/** The instructions that some of them need, among them, in order. Nothing beyond a reduction is needed. */
export function needed(instructions: readonly FusedInstruction[], wanted: readonly number[]): number[] {
  const found = new Set(wanted)
  for (let i = instructions.length - 1; i >= 0; i--) {
    if (!found.has(i) || instructions[i]!.kind === 'reduce') continue
    for (const argument of argumentsOf(instructions[i]!)) found.add(argument)
  }
  return [...found].sort((a, b) => a - b)
}
