import { ShapeError } from '../errors.ts'
import { broadcastTo, concatenate, full, permute, reduce, reshape, slice } from '../graph/build.ts'
import { isElementwise, isMovement, isReduction } from '../graph/kinds.ts'
import { createNode, formatSpec, type Graph, type Node } from '../graph/node.ts'
import type { OpAttributes, ReduceName } from '../graph/operations.ts'
import { sizeOf } from '../graph/shape.ts'
import { rewrite } from './rewrite.ts'

/**
 * Brings a graph of primitives into the form that the scheduler takes:
 *
 * - a reduction reduces one axis, whose extent is not 1;
 * - what is generated from indices and constants only (masks, positions) is computed in the shape in which it is used, so
 *   that it can be part of its user's loops and never needs memory.
 */
export function normalize(graph: Graph): Graph {
  return rewrite(graph, (node) => {
    // Inputs come first, so asking here keeps the recursion one deep.
    isGenerated(node)
    if (sizeOf(node.shape) > 0 && node.inputs.some((input) => sizeOf(input.shape) === 0)) return ofNothing(node)
    if (isReduction(node)) return oneAxis(node)
    return isMovement(node) ? pushIntoGenerated(node) : node
  })
}

/** What an op that reads an empty tensor gives: empty tensors are never computed, so kernels need not know them. */
function ofNothing(node: Node): Node {
  switch (node.op) {
    case 'reduceSum':
    case 'matmul':
      return full(node.shape, 0, node.dtype)
    case 'reduceProduct':
      return full(node.shape, 1, node.dtype)
    case 'pad':
      return full(node.shape, (node.attributes as OpAttributes['pad']).value, node.dtype)
    case 'concatenate': {
      const { axis } = node.attributes as OpAttributes['concatenate']
      return concatenate(
        node.inputs.filter((input) => sizeOf(input.shape) > 0),
        axis,
      )
    }
    case 'scatter':
      return node.inputs[0]!
    case 'gather':
      throw new ShapeError(
        `gather: cannot take ${sizeOf(node.inputs[1]!.shape)} elements from an empty axis of ${formatSpec(node.inputs[0]!)}.`,
      )
    default:
      return node
  }
}

function oneAxis(node: Node<ReduceName>): Node {
  const input = node.inputs[0]!
  const axes = node.attributes.axes.filter((axis) => input.shape[axis] !== 1)
  if (axes.length === 0) return reshape(input, node.shape)
  // The last run of neighbouring axes (axes of extent 1 between them do not count) is reduced first.
  const end = axes.at(-1)! + 1
  let start = end - 1
  while (
    start > 0 &&
    (axes.includes(start - 1) || (input.shape[start - 1] === 1 && axes.some((axis) => axis < start - 1)))
  )
    start--
  const [before, after] = [input.shape.slice(0, start), input.shape.slice(end)]
  const length = sizeOf(input.shape.slice(start, end))
  const joined = reshape(input, [...before, length, ...after])
  const rest = axes.filter((axis) => axis < start)
  const reduced = createNode(node.definition, [joined], { axes: [start] })
  return reshape(rest.length === 0 ? reduced : oneAxis(reduce(node.op, reduced, rest) as Node<ReduceName>), node.shape)
}

const generatedNodes = new WeakMap<Node, boolean>()

/** True for what depends on indices and constants only. */
function isGenerated(node: Node): boolean {
  const known = generatedNodes.get(node)
  if (known !== undefined) return known
  const source = node.op === 'iota' || node.op === 'constant'
  const passes = isMovement(node) || isElementwise(node)
  const result = source || (passes && node.inputs.every(isGenerated))
  generatedNodes.set(node, result)
  return result
}

function pushIntoGenerated(node: Node): Node {
  const input = node.inputs[0]!
  if (!isElementwise(input) || input.inputs.length === 0 || !isGenerated(input)) return node
  const moved = input.inputs.map((operand) => pushIntoGenerated(move(node, operand)))
  return createNode(input.definition, moved, input.attributes)
}

/** The movement of `node` applied to another node of the same shape as its input. */
function move(node: Node, operand: Node): Node {
  switch (node.op) {
    case 'broadcast':
      return broadcastTo(operand, node.shape)
    case 'reshape':
      return reshape(operand, node.shape)
    case 'permute':
      return permute(operand, (node.attributes as OpAttributes['permute']).axes)
    default: {
      const { starts, steps } = node.attributes as OpAttributes['slice']
      return slice(operand, starts, node.shape, steps)
    }
  }
}
