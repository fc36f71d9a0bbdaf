import { isGradient, markLike } from '../autodiff/backward.ts'
import { isFloat } from '../graph/format.ts'
import { isMovement } from '../graph/kinds.ts'
import { createNode, type Node, topologicalOrder } from '../graph/node.ts'
import type { OpAttributes } from '../graph/operations.ts'
import { isPrimitive } from '../graph/primitives.ts'
import { sizeOf } from '../graph/shape.ts'
import type { FormatPolicyOptions, RoundedPlace } from './format-policy.ts'
import { isKeptWide, keepWideLike } from './keep-wide.ts'

/** Sums up a loss, which is read by people. */
const keptWide: ReadonlySet<string> = new Set(['crossEntropy', 'randomBits', 'scan', 'whileLoop', 'cond'])
/** Ops whose functions are not looked into. */
export const withBodies: ReadonlySet<string> = new Set(['scan', 'whileLoop', 'cond'])

const isRoundable = ({ dtype, shape }: Node): boolean => isFloat(dtype) && sizeOf(shape) > 1

/** Ops between which values are rounded: those that run as a kernel of their own. */
export const isWhole = (node: Node): boolean => node.op === 'matmul' || !isPrimitive(node.op)

export function baseOf(node: Node): Node {
  let base = node
  while (isMovement(base)) base = base.inputs[0]!
  return base
}

/** Functions that the backward pass computes again, in the place of the ops that apply them, as lowering does it later. */
export function withoutCheckpoints(outputs: readonly Node[]): readonly Node[] {
  const replaced = new Map<Node, readonly Node[]>()
  for (const node of topologicalOrder(outputs)) {
    if (node.op === 'output') {
      const source = node.inputs[0]!
      const { index } = node.attributes as OpAttributes['output']
      if (source.op === 'checkpoint') {
        const inside = replaced.get(source)![index]!
        keepWideLike(inside, node)
        replaced.set(node, [inside])
        continue
      }
    }
    const inputs = node.inputs.map((input) => replaced.get(input)![0]!)
    if (node.op === 'checkpoint') {
      const { body } = node.attributes as OpAttributes['checkpoint']
      const results = body.apply(inputs)
      // The node of a function with one result stands for the result.
      keepWideLike(results[0]!, node)
      replaced.set(node, results)
      continue
    }
    const same = inputs.every((input, i) => input === node.inputs[i])
    const rebuilt = same ? node : createNode(node.definition, inputs, node.attributes)
    markLike(rebuilt, node)
    keepWideLike(rebuilt, node)
    replaced.set(node, [rebuilt])
  }
  return outputs.map((output) => replaced.get(output)![0]!)
}

/** The first of the nodes that read one output of a node: rules of gradients make such nodes of their own. */
export function firstReaders(order: readonly Node[]): Map<Node, Node> {
  const known = new Map<Node, Node[]>()
  const first = new Map<Node, Node>()
  for (const node of order) {
    if (node.op !== 'output') continue
    const { index } = node.attributes as OpAttributes['output']
    const readers = known.get(node.inputs[0]!) ?? []
    known.set(node.inputs[0]!, readers)
    readers[index] ??= node
    first.set(node, readers[index])
  }
  return first
}

/** The values to round, each once. */
function roundedValues(order: readonly Node[]): Set<Node> {
  const generated = new Set<Node>()
  const found = new Set<Node>()
  for (const node of order) {
    if (node.op !== 'leaf' && node.inputs.every((input) => generated.has(input))) generated.add(node)
    const source = node.op === 'output' ? node.inputs[0]! : node
    const isResult = source.outputs.length === 1 || node !== source
    if (isResult && isWhole(source) && !keptWide.has(source.op) && isRoundable(node)) found.add(node)
    if (!isWhole(node) || node.op === 'randomBits') continue
    for (const input of node.inputs) {
      const base = baseOf(input)
      if (isRoundable(base) && !generated.has(base)) found.add(base)
    }
  }
  return found
}

/** Arguments of the function. */
export interface FunctionArguments {
  /** For each output the argument whose place it takes. */
  readonly replaces: readonly (Node | undefined)[]
  readonly paths: ReadonlyMap<Node, string> | undefined
}

/** Which values and which outputs are rounded. */
export interface Plan {
  readonly places: readonly RoundedPlace[]
  readonly values: ReadonlyMap<Node, RoundedPlace>
  /** For each output; `undefined` where it is not rounded, or is a value that is rounded anyway. */
  readonly updates: readonly (RoundedPlace | undefined)[]
}

export function planPlaces(
  order: readonly Node[],
  first: ReadonlyMap<Node, Node>,
  outputs: readonly Node[],
  { replaces, paths }: FunctionArguments,
  { except, keepsWide = true }: FormatPolicyOptions,
): Plan {
  const places: RoundedPlace[] = []
  // What a value kept wide replaces was one too, in the call before.
  const wide = new Set(replaces.filter((_, i) => isKeptWide(outputs[i]!)))
  const isWide = (node: Node) => keepsWide && (isKeptWide(node) || wide.has(node))
  const choose = (node: Node, kind: RoundedPlace['kind'], argument = node): RoundedPlace | undefined => {
    const path = paths?.get(argument)
    if (isWide(argument) || isWide(node)) return undefined
    const op = node.op === 'output' ? node.inputs[0]!.op : node.op
    const place = {
      index: places.length,
      kind,
      op,
      shape: node.shape,
      isGradient: kind === 'value' && isGradient(node),
      ...(path !== undefined && { path }),
    }
    if (except?.(place)) return undefined
    places.push(place)
    return place
  }
  const rounded = new Set([...roundedValues(order)].map((node) => first.get(node) ?? node))
  const written = new Set(replaces)
  const values = new Map<Node, RoundedPlace>()
  for (const node of order) {
    const place = rounded.has(node) ? choose(node, written.has(node) ? 'initial' : 'value') : undefined
    if (place) values.set(node, place)
  }
  const updates = outputs.map((output, i) =>
    replaces[i] !== undefined && isRoundable(output) && !rounded.has(first.get(output) ?? output)
      ? choose(output, 'update', replaces[i])
      : undefined,
  )
  return { places, values, updates }
}
