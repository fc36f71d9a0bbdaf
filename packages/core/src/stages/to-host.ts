import { TesseraError } from '../errors.ts'
import { leaf, outputOf } from '../graph/build.ts'
import type { TypedArray } from '../graph/format.ts'
import { isElementwise, isMovement, isReduction } from '../graph/kinds.ts'
import { createNode, formatSpec, type Graph, type Node, topologicalOrder } from '../graph/node.ts'
import { Subgraph } from '../graph/subgraph.ts'
import type { HostTensor, OpDefinition } from '../plugin/contract.ts'
import type { SelectionRules } from '../select/select.ts'

/** Makes a function of one that is a graph, to be computed on the host. */
export type HostEvaluator = (body: Subgraph) => (inputs: readonly HostTensor[]) => readonly TypedArray[]

type Side = 'device' | 'host' | 'either'

/**
 * Moves what the device cannot compute to the host: nodes that depend on each other without anything of the device between them become one
 * `onHost` op, which is a step of its own. Programs compute the rest.
 *
 * @param isForHost what no kernel of the device runs
 * @param isStageOp ops that are steps of their own already
 */
export function moveToHost(
  graph: Graph,
  isForHost: (node: Node) => boolean,
  isStageOp: (node: Node) => boolean,
  evaluator: HostEvaluator,
): Graph {
  const order = topologicalOrder(graph.outputs)
  const sides = new Map<Node, Side>()
  /** How often the way to a node goes from one side to the other: even numbers are the device's, odd ones the host's. */
  const levels = new Map<Node, number>()
  for (const node of order) {
    const side = sideOf(node, sides, isForHost, isStageOp)
    sides.set(node, side)
    const before = Math.max(0, ...node.inputs.map((input) => (sides.get(input) === 'either' ? 0 : levels.get(input)!)))
    levels.set(node, side === 'host' ? before + ((before + 1) % 2) : before + (before % 2))
  }
  const moved = new Map<Node, Node>()
  for (const node of order) if (sides.get(node) === 'either') moved.set(node, node)
  const last = Math.max(...levels.values())
  const at = (level: number, side: Side): Node[] =>
    order.filter((node) => levels.get(node) === level && sides.get(node) === side)
  const results = new Set(graph.outputs)
  const users = usersOf(order)
  for (let level = 0; level <= last; level += 2) {
    for (const node of at(level, 'device')) {
      const inputs = node.inputs.map((input) => moved.get(input)!)
      const isSame = inputs.every((input, i) => input === node.inputs[i])
      moved.set(node, isSame ? node : createNode(node.definition, inputs, node.attributes))
    }
    const group = at(level + 1, 'host')
    const isOutside = (user: Node): boolean => sides.get(user) === 'device' || levels.get(user) !== level + 1
    const wanted = group.filter((node) => results.has(node) || users.get(node)?.some(isOutside))
    if (wanted.length === 0) continue
    const parameters = new Map<Node, Node>()
    const copies = new Map<Node, Node>()
    const copyOf = (input: Node): Node => {
      const known = copies.get(input)
      if (known) return known
      if (sides.get(input) === 'either' && input.op !== 'leaf') {
        const copy = createNode(input.definition, input.inputs.map(copyOf), input.attributes)
        copies.set(input, copy)
        return copy
      }
      const parameter = leaf(input.shape, input.dtype)
      parameters.set(input, parameter)
      copies.set(input, parameter)
      return parameter
    }
    for (const node of group) copies.set(node, createNode(node.definition, node.inputs.map(copyOf), node.attributes))
    const body = new Subgraph(
      [...parameters.values()],
      wanted.map((node) => copies.get(node)!),
    )
    const inputs = [...parameters.keys()].map((input) => moved.get(input)!)
    const step = hostStep(inputs, body, describe(group), evaluator)
    wanted.forEach((node, i) => {
      moved.set(node, outputOf(step, i))
    })
  }
  return { outputs: graph.outputs.map((output) => moved.get(output)!) }
}

/** Leaves, and what is made of constants only, can be had on both sides. */
function sideOf(
  node: Node,
  sides: ReadonlyMap<Node, Side>,
  isForHost: (node: Node) => boolean,
  isStageOp: (node: Node) => boolean,
): Side {
  if (node.op === 'leaf') return 'either'
  if (node.op === 'output') return sides.get(node.inputs[0]!)!
  if (isStageOp(node)) return 'device'
  if (isForHost(node)) return 'host'
  const isMade = node.inputs.every((input) => sides.get(input) === 'either' && input.op !== 'leaf')
  return isMade && node.outputs.length === 1 ? 'either' : 'device'
}

function usersOf(order: readonly Node[]): Map<Node, Node[]> {
  const users = new Map<Node, Node[]>()
  for (const node of order) for (const input of node.inputs) users.set(input, [...(users.get(input) ?? []), node])
  return users
}

/** For `explain`: what each node computes. Movements only say how elements are addressed, unless there is nothing else: copies. */
function describe(nodes: readonly Node[]): readonly string[] {
  const whole = nodes.filter((node) => node.op !== 'output')
  const ops = whole.filter((node) => !isMovement(node))
  return (ops.length > 0 ? ops : whole).map((node) => `${node.op}(${node.inputs.map(formatSpec).join(', ')})`)
}

/** A node that computes a function on the host. */
export function hostStep(
  inputs: readonly Node[],
  body: Subgraph,
  computes: readonly string[],
  evaluator: HostEvaluator,
): Node {
  return createNode(onHost(evaluator), inputs, { body, computes })
}

/** Each step has a definition of its own, as it keeps the function that it has made. */
function onHost(evaluator: HostEvaluator): OpDefinition<'onHost'> {
  let compute: ReturnType<HostEvaluator> | undefined
  return {
    op: 'onHost',
    shape: (_, { body }) => body.outputs.map(({ shape, dtype }) => ({ shape, dtype })),
    host: (inputs, { body }) => {
      compute ??= evaluator(body)
      return compute(inputs)
    },
  }
}

/** True for the error that no kernel runs a call. */
export const isWithoutKernel = (error: unknown): error is TesseraError =>
  error instanceof TesseraError && error.code === 'NO_KERNEL'

/**
 * Finds out which nodes no kernel runs: by compiling each kind of them on its own.
 *
 * @param compile throws for graphs that hold such a node
 */
export function withoutKernel(compile: (graph: Graph) => unknown, { force }: SelectionRules): (node: Node) => boolean {
  const known = new Map<string, boolean>()
  return (node) => {
    const isLoop = isElementwise(node) || isReduction(node) || isMovement(node)
    const operands = [...node.inputs.map(({ dtype }) => dtype), ...node.outputs.map(({ dtype }) => dtype)]
    const key = isLoop ? `${node.op} ${operands.join()}` : `${node.id}`
    const before = known.get(key)
    if (before !== undefined) return before
    const alone = createNode(
      node.definition,
      node.inputs.map(({ shape, dtype }) => leaf(shape, dtype)),
      node.attributes,
    )
    let isWithout = false
    try {
      compile({ outputs: [alone] })
    } catch (error) {
      if (!isWithoutKernel(error)) throw error
      // A kernel that was asked for by name is not replaced.
      if (force?.[node.op] !== undefined || force?.fused !== undefined) throw error
      isWithout = true
    }
    known.set(key, isWithout)
    return isWithout
  }
}
