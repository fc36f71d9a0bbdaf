import { TesseraError } from '../errors.ts'
import { add, concatenate, outputOf } from '../graph/build.ts'
import { isFloat } from '../graph/format.ts'
import { formatSpec, type Node } from '../graph/node.ts'
import type { OpAttributes, PrimitiveName } from '../graph/operations.ts'
import { isPrimitive } from '../graph/primitives.ts'
import type { VjpContext } from '../plugin/contract.ts'
import { rules } from './rules.ts'

/**
 * Reverse-mode gradients as graph → graph: the result is made of ordinary nodes and can be differentiated again.
 *
 * `outputs[i]` has gradient `seeds[i]`. Nodes of `inputs` end the walk: what they are computed from is not visited. Gives
 * the gradient of each input, `undefined` where none flows.
 */
export function gradients(
  outputs: readonly Node[],
  seeds: readonly (Node | undefined)[],
  inputs: readonly Node[],
): (Node | undefined)[] {
  const active = activeNodes(outputs, inputs)
  const ends = new Set(inputs)
  const contributions = new Map<Node, (Node[] | undefined)[]>()
  const contribute = (node: Node, output: number, gradient: Node): void => {
    const lists = contributions.get(node) ?? []
    contributions.set(node, lists)
    const list = lists[output] ?? []
    lists[output] = list
    list.push(gradient)
  }
  outputs.forEach((output, i) => {
    const seed = seeds[i]
    if (seed && active.has(output)) contribute(output, 0, seed)
  })

  const ordered = [...active].sort((a, b) => b.id - a.id)
  const result = new Map<Node, Node>()
  for (const node of ordered) {
    const lists = contributions.get(node)
    if (!lists) continue
    const cotangents = node.outputs.map((_, i) => (lists[i] ? accumulate(lists[i]) : undefined))
    contributions.delete(node)
    if (ends.has(node)) {
      if (cotangents[0]) result.set(node, cotangents[0])
      continue
    }
    if (node.op === 'output') {
      const { index } = node.attributes as OpAttributes['output']
      contribute(node.inputs[0]!, index, cotangents[0]!)
      continue
    }
    const needs = node.inputs.map((input) => active.has(input))
    inputGradients(node, cotangents, needs).forEach((gradient, i) => {
      if (gradient && needs[i]) contribute(node.inputs[i]!, 0, gradient)
    })
  }
  return inputs.map((input) => result.get(input))
}

/** Nodes on a path from an output to an input, both included. */
function activeNodes(outputs: readonly Node[], inputs: readonly Node[]): Set<Node> {
  // A node older than every input cannot depend on one.
  const oldest = inputs.reduce((least, input) => Math.min(least, input.id), Number.POSITIVE_INFINITY)
  const ends = new Set(inputs)
  const reached = new Set<Node>()
  const stack = [...outputs]
  while (stack.length > 0) {
    const node = stack.pop()!
    if (reached.has(node) || node.id < oldest) continue
    reached.add(node)
    if (!ends.has(node)) stack.push(...node.inputs)
  }
  const active = new Set<Node>()
  for (const node of [...reached].sort((a, b) => a.id - b.id)) {
    if (ends.has(node) || node.inputs.some((input) => active.has(input))) active.add(node)
  }
  return active
}

/** Gradients of a node's inputs from those of its outputs, by the op's own rule or through its definition. */
export function inputGradients(
  node: Node,
  cotangents: readonly (Node | undefined)[],
  needs: readonly boolean[],
): readonly (Node | undefined)[] {
  const { definition, inputs, attributes } = node
  const outputs = node.outputs.map((_, i) => outputOf(node, i))
  const context: VjpContext = { attributes, inputs, outputs, cotangents, needs }
  if (definition.vjp) return checked(node, definition.vjp(context))
  if (isPrimitive(node.op)) {
    if (!isFloat(node.dtype)) return []
    type AnyRule = (gradient: Node, context: VjpContext & { readonly output: Node }) => readonly (Node | undefined)[]
    return (rules[node.op as PrimitiveName] as AnyRule)(cotangents[0]!, { ...context, output: node })
  }
  if (!definition.lower) {
    throw new TesseraError(
      'NO_GRADIENT',
      `${node.op}: the op has neither a gradient (vjp) nor a definition in primitives (lower). Give its definition one.`,
    )
  }
  return gradients(definition.lower(inputs, attributes), cotangents, inputs)
}

/** Gradients of an op's own rule: each has the shape and format of its input. */
function checked(node: Node, found: readonly (Node | undefined)[]): readonly (Node | undefined)[] {
  found.forEach((gradient, i) => {
    const input = node.inputs[i]
    if (!gradient || !input || formatSpec(gradient) === formatSpec(input)) return
    throw new TesseraError(
      'OP_DEFINITION',
      `${node.op}: vjp gave a gradient ${formatSpec(gradient)} for input ${i}, which is ${formatSpec(input)}. Sum or cast it to that.`,
    )
  })
  return found
}

/** Sum of the gradients that reach a node. Gradients of slices that tile the node are put together instead of added up. */
function accumulate(parts: readonly Node[]): Node {
  return tiled(parts) ?? parts.reduce((total, part) => add(total, part))
}

function tiled(parts: readonly Node[]): Node | undefined {
  const first = parts[0]!
  if (parts.length < 2 || !parts.every((part) => part.op === 'pad')) return undefined
  const pads = parts.map((part) => ({ part, ...(part.attributes as OpAttributes['pad']) }))
  const axis = first.shape.findIndex((_, i) => pads[0]!.low[i] !== 0 || pads[0]!.high[i] !== 0)
  const elsewhere = pads.some(
    ({ low, high, value }) => value !== 0 || low.some((count, i) => i !== axis && (count !== 0 || high[i] !== 0)),
  )
  if (elsewhere) return undefined
  pads.sort((a, b) => a.low[axis]! - b.low[axis]!)
  let end = 0
  for (const { part, low, high } of pads) {
    if (low[axis] !== end) return undefined
    end = part.shape[axis]! - high[axis]!
  }
  return end === first.shape[axis]
    ? concatenate(
        pads.map(({ part }) => part.inputs[0]!),
        axis,
      )
    : undefined
}
