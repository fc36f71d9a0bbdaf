import type { Node } from '../graph/node.ts'
import type { FusedInstruction } from '../graph/operations.ts'
import { type Shape, sizeOf } from '../graph/shape.ts'
import { rowMajorView } from '../graph/view.ts'
import type { BodyOperand, Loop } from './body.ts'
import { type Group, type Grouping, isIdentity } from './groups.ts'
import type { Epilogue } from './program.ts'
import type { ViewResolver } from './resolve.ts'

/** Ops that the scheduler writes as several calls, or in place. */
const withoutEpilogue: ReadonlySet<string> = new Set(['barrier', 'concatenate', 'pad', 'scatter', 'output'])

/** Loops that can follow a call as its epilogue. */
export interface Candidate {
  /** The group of the call, its node, and the group of the loops. */
  readonly call: Group
  readonly node: Node
  readonly loops: Group
  /** True when others read the call's result as well. */
  readonly isReadLater: boolean
}

/**
 * The maps and rows that read the result of a call element by element, each with the last of the calls that it reads so. The call can
 * wait until just before the loops: whatever else reads its result comes after them.
 */
export function epilogueCandidates(
  grouping: Grouping,
  recomputed: ReadonlyMap<Group, ReadonlySet<Node>>,
  views: ViewResolver,
): Map<Group, Candidate> {
  /** For each node the groups that read it, and whether each reads an element only where it computes that element. */
  const readers = new Map<Node, Map<Group, boolean>>()
  for (const group of grouping.groups) {
    for (const node of [...group.nodes, ...(recomputed.get(group) ?? [])]) {
      for (const input of node.inputs) {
        const resolved = views.resolve(input)
        const known = readers.get(resolved.base) ?? new Map<Group, boolean>()
        readers.set(resolved.base, known)
        known.set(group, (known.get(group) ?? true) && !views.isCopy(node) && isIdentity(resolved))
      }
    }
  }
  const candidates = new Map<Group, Candidate>()
  for (const call of grouping.groups) {
    const node = [...call.nodes][0]!
    if (call.kind !== 'call' || withoutEpilogue.has(node.op) || node.outputs.length !== 1) continue
    const [first, ...later] = [...(readers.get(node) ?? [])].sort(([a], [b]) => a.position - b.position)
    if (!first) continue
    const [loops, isPointwise] = first
    if (!isPointwise || (loops.kind !== 'map' && loops.kind !== 'row') || loops.size !== sizeOf(node.shape)) continue
    // Calls come in order: of several, the last one stays.
    candidates.set(loops, { call, node, loops, isReadLater: later.length > 0 })
  }
  return candidates
}

/** An epilogue with its operands, without the result that it starts from. */
export interface EpilogueLoop extends Pick<Epilogue, 'result' | 'body'> {
  readonly inputs: readonly BodyOperand[]
  readonly outputs: readonly BodyOperand[]
}

/**
 * Loops that read `node` as the epilogue of its call; `undefined` where they do not walk over the axes of its shape.
 *
 * @param storesResult whether the result itself is an output as well
 */
export function toEpilogue(
  loop: Loop<BodyOperand>,
  rowLength: number,
  node: Node,
  storesResult: boolean,
): EpilogueLoop | undefined {
  const over = overShape(loop, node.shape, rowLength)
  const at = over?.inputs.findIndex((input) => input.node === node) ?? -1
  if (!over || at < 0) return undefined
  const result = over.inputs[at]!
  const position = (input: number) => (input === at ? 0 : input < at ? input + 1 : input)
  const instructions = over.body.instructions.map(
    (instruction): FusedInstruction =>
      instruction.kind === 'load' ? { ...instruction, input: position(instruction.input) } : instruction,
  )
  const loaded = instructions.findIndex((instruction) => instruction.kind === 'load' && instruction.input === 0)
  return {
    result: { shape: node.shape, dtype: node.dtype },
    body: { ...over.body, instructions, stores: storesResult ? [...over.body.stores, loaded] : over.body.stores },
    inputs: over.inputs.toSpliced(at, 1),
    outputs: storesResult ? [...over.outputs, result] : over.outputs,
  }
}

/**
 * The same loops over the axes of `shape`, each of which is made of some neighbouring axes of theirs; `undefined` where an operand
 * does not walk through one of them in a single stride, or where a row is not made of whole axes.
 */
function overShape(
  { body, inputs, outputs }: Loop<BodyOperand>,
  shape: Shape,
  rowLength: number,
): Loop<BodyOperand> | undefined {
  const { domain } = body
  /** For each axis of the shape, the innermost of the loops' axes that it is made of, or −1 for an axis of extent 1. */
  const innermost = new Array<number>(shape.length).fill(-1)
  const joins: (readonly [outer: number, inner: number])[] = []
  let axis = domain.length - 1
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] === 1) continue
    innermost[i] = axis
    for (let extent = domain[axis--] ?? 0; extent !== shape[i]!; extent *= domain[axis--]!) {
      if (axis < 0 || shape[i]! % extent !== 0) return undefined
      joins.push([axis, axis + 1])
    }
  }
  const walks = [...inputs, ...outputs].map(({ view }) => view.strides)
  for (const instruction of body.instructions) if (instruction.kind === 'iota') walks.push(instruction.strides)
  const inOneStride = walks.every((strides) =>
    joins.every(([outer, inner]) => strides[outer] === strides[inner]! * domain[inner]!),
  )
  let rowAxes = 0
  for (let extent = 1; extent < rowLength && rowAxes < shape.length; rowAxes++) extent *= shape.at(-1 - rowAxes)!
  const rows = sizeOf(shape.slice(shape.length - rowAxes))
  if (!inOneStride || (body.kind === 'row' && rows !== rowLength)) return undefined
  const strides = (old: readonly number[]) => innermost.map((at) => (at < 0 ? 0 : old[at]!))
  const walked = (operand: BodyOperand): BodyOperand => ({
    ...operand,
    view: { ...rowMajorView(shape), strides: strides(operand.view.strides), offset: operand.view.offset },
  })
  return {
    body: {
      ...body,
      domain: shape,
      rowAxes: body.kind === 'row' ? rowAxes : 0,
      instructions: body.instructions.map((instruction) =>
        instruction.kind === 'iota' ? { ...instruction, strides: strides(instruction.strides) } : instruction,
      ),
    },
    inputs: inputs.map(walked),
    outputs: outputs.map(walked),
  }
}
