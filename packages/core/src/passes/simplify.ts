import { binary, broadcastTo, full, permute, reciprocal, reshape, squareRoot, transposeLast } from '../graph/build.ts'
import { type DType, formatOf } from '../graph/format.ts'
import { isMovement } from '../graph/kinds.ts'
import { createNode, type Graph, type Node, topologicalOrder } from '../graph/node.ts'
import type { BinaryName, OpAttributes, UnaryName } from '../graph/operations.ts'
import { sameShape, sizeOf } from '../graph/shape.ts'
import { rewrite } from './rewrite.ts'

/** Constants are folded, ops that change nothing dropped, movements joined, equal subgraphs computed once. */
export function simplify(graph: Graph): Graph {
  const isShared = sharedProducts(graph)
  return rewrite(graph, (node, original) => {
    for (const rule of rulesByOp[node.op] ?? anyOp) {
      const simpler = rule(node, () => isShared(original))
      if (simpler) return simpler
    }
    return node
  })
}

/** @param isShared whether what the node moves is a product that others read as well */
type Rule = (node: Node, isShared: () => boolean) => Node | undefined

const isProduct = ({ op }: Node): boolean => op === 'matmul' || op === 'widenedMatmul'

/** Tells whether a node moves the result of a product that is given out or has other readers. */
function sharedProducts(graph: Graph): (node: Node) => boolean {
  const readers = new Map<Node, number>()
  const read = (node: Node): void => {
    if (isProduct(node)) readers.set(node, (readers.get(node) ?? 0) + 1)
  }
  for (const node of topologicalOrder(graph.outputs)) node.inputs.forEach(read)
  graph.outputs.forEach(read)
  return (node) => {
    let source = node
    while (isMovement(source)) source = source.inputs[0]!
    return (readers.get(source) ?? 0) > 1
  }
}

/** The number that every element of a node is, when that is known. */
export function constantValue(node: Node): number | undefined {
  let source = node
  while (source.op === 'broadcast' || source.op === 'reshape' || source.op === 'permute' || source.op === 'slice')
    source = source.inputs[0]!
  return source.op === 'constant' ? (source.attributes as OpAttributes['constant']).value : undefined
}

/** A value as a format holds it; `undefined` where folding would have to imitate the format. */
function round(value: number, dtype: DType): number | undefined {
  if (dtype === 'f32') return Math.fround(value)
  if (dtype === 'f64') return value
  if (dtype === 'bool') return value ? 1 : 0
  if (dtype === 'i32') return value | 0
  if (dtype === 'u32') return value >>> 0
  return undefined
}

const foldUnary: Partial<Record<UnaryName, (x: number) => number>> = {
  negate: (x) => -x,
  absolute: Math.abs,
  squareRoot: Math.sqrt,
  reciprocal: (x) => 1 / x,
}
const foldBinary: Partial<Record<BinaryName, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  equal: (a, b) => (a === b ? 1 : 0),
  notEqual: (a, b) => (a !== b ? 1 : 0),
  less: (a, b) => (a < b ? 1 : 0),
  lessEqual: (a, b) => (a <= b ? 1 : 0),
}

/** Elementwise ops on constants. Products of integers beyond 2^53 are left to the machine. */
const foldConstants: Rule = (node) => {
  const values = node.inputs.map(constantValue)
  if (node.inputs.length === 0 || values.includes(undefined)) return undefined
  const [a, b] = values as number[]
  const unary = foldUnary[node.op as UnaryName]
  const pair = foldBinary[node.op as BinaryName]
  let exact: number | undefined
  if (unary) exact = unary(a!)
  else if (pair) exact = pair(a!, b!)
  else if (node.op === 'divide' && formatOf(node.dtype).kind === 'float') exact = a! / b!
  if (exact === undefined || (formatOf(node.dtype).kind !== 'float' && !Number.isSafeInteger(exact))) return undefined
  const value = round(exact, node.dtype)
  return value === undefined ? undefined : full(node.shape, value, node.dtype)
}

const foldCast: Rule = (node) => {
  const input = node.inputs[0]!
  if (input.dtype === node.dtype) return input
  const value = constantValue(input)
  if (value === undefined) return undefined
  const toFloat = formatOf(node.dtype).kind === 'float'
  // Fractions and numbers that leave the format are converted by the machine.
  if (!toFloat && round(value, node.dtype) !== value) return undefined
  const rounded = round(value, node.dtype)
  return rounded === undefined ? undefined : full(node.shape, rounded, node.dtype)
}

/** `x op neutral` is x; `leftToo`: `neutral op x` as well. */
function neutral(value: number, leftToo: boolean): Rule {
  return (node) => {
    const [a, b] = node.inputs as [Node, Node]
    // x + 0 is not x for x = −0: 0 + −0 = 0. Adding −0 would be neutral, and the sign of a zero sum is not kept.
    if (constantValue(b) === value) return a
    return leftToo && constantValue(a) === value ? b : undefined
  }
}

const simplePower: Rule = (node) => {
  const [x, exponent] = node.inputs as [Node, Node]
  switch (constantValue(exponent)) {
    case 0:
      return full(node.shape, 1, node.dtype)
    case 1:
      return x
    case 2:
      return binary('multiply', x, x)
    case 3:
      return binary('multiply', binary('multiply', x, x), x)
    case 0.5:
      return squareRoot(x)
    case -1:
      return reciprocal(x)
    default:
      return undefined
  }
}

/** A movement of a constant is that constant in another shape. */
const movedConstant: Rule = (node) => {
  const value = constantValue(node)
  const plain =
    node.op === 'broadcast' && node.inputs[0]!.op === 'reshape' && node.inputs[0]!.inputs[0]!.op === 'constant'
  return value === undefined || plain || node.shape.length === 0 ? undefined : full(node.shape, value, node.dtype)
}

const joinReshapes: Rule = (node) => {
  const input = node.inputs[0]!
  if (sameShape(node.shape, input.shape)) return input
  return input.op === 'reshape' ? reshape(input.inputs[0]!, node.shape) : undefined
}

const joinPermutes: Rule = (node) => {
  const input = node.inputs[0]!
  const { axes } = node.attributes as OpAttributes['permute']
  if (axes.every((axis, i) => axis === i)) return input
  if (input.op === 'permute') {
    const inner = (input.attributes as OpAttributes['permute']).axes
    return permute(
      input.inputs[0]!,
      axes.map((axis) => inner[axis]!),
    )
  }
  // Moving axes of extent 1 is a reshape.
  const kept = axes.filter((axis) => input.shape[axis] !== 1)
  return kept.every((axis, i) => i === 0 || axis > kept[i - 1]!) ? reshape(input, node.shape) : undefined
}

/** (A · B)ᵀ is Bᵀ · Aᵀ, which a kernel writes as it is wanted; where A · B is wanted too, it is computed once and read in another order. */
const transposedProduct: Rule = (node, isShared) => {
  const product = node.inputs[0]!
  const { axes } = node.attributes as OpAttributes['permute']
  const rank = axes.length
  if (!isProduct(product) || axes[rank - 1] !== rank - 2 || axes[rank - 2] !== rank - 1 || isShared()) return undefined
  const [a, b] = product.inputs as [Node, Node]
  const batches = [...axes.slice(0, -2), rank - 2, rank - 1]
  return permute(createNode(product.definition, [transposeLast(b), transposeLast(a)], product.attributes), batches)
}

const joinBroadcasts: Rule = (node) => {
  const input = node.inputs[0]!
  if (sameShape(node.shape, input.shape)) return input
  return input.op === 'broadcast' ? broadcastTo(input.inputs[0]!, node.shape) : undefined
}

const sameSlice: Rule = (node) =>
  sameShape(node.shape, node.inputs[0]!.shape) &&
  (node.attributes as OpAttributes['slice']).steps.every((step) => step === 1)
    ? node.inputs[0]!
    : undefined

/** A reduction of axes of extent 1 changes nothing; a sum of equal numbers is a product. */
const simpleReduce: Rule = (node) => {
  const input = node.inputs[0]!
  if (sameShape(node.shape, input.shape)) return input
  const value = constantValue(input)
  if (value === undefined || node.op === 'reduceProduct') return undefined
  const total = node.op === 'reduceSum' ? value * (sizeOf(input.shape) / sizeOf(node.shape)) : value
  const rounded = Number.isFinite(total) || node.op !== 'reduceSum' ? round(total, node.dtype) : undefined
  return rounded === undefined || !Number.isInteger(rounded) ? undefined : full(node.shape, rounded, node.dtype)
}

const constantWhere: Rule = (node) => {
  const condition = constantValue(node.inputs[0]!)
  return condition === undefined ? undefined : node.inputs[condition ? 1 : 2]!
}

/** What is known anyway need not be kept apart. */
const constantBarrier: Rule = (node) => (constantValue(node.inputs[0]!) === undefined ? undefined : node.inputs[0]!)

const doubleNegation: Rule = (node) => (node.inputs[0]!.op === 'negate' ? node.inputs[0]!.inputs[0]! : undefined)

const anyOp: readonly Rule[] = [foldConstants]
const rulesByOp: Partial<Record<string, readonly Rule[]>> = {
  add: [foldConstants, neutral(0, true)],
  subtract: [foldConstants, neutral(0, false)],
  multiply: [foldConstants, neutral(1, true)],
  divide: [foldConstants, neutral(1, false)],
  power: [simplePower],
  negate: [foldConstants, doubleNegation],
  cast: [foldCast],
  where: [constantWhere],
  reshape: [joinReshapes, movedConstant],
  permute: [joinPermutes, transposedProduct, movedConstant],
  broadcast: [joinBroadcasts, movedConstant],
  slice: [sameSlice, movedConstant],
  reduceSum: [simpleReduce],
  reduceProduct: [simpleReduce],
  reduceMaximum: [simpleReduce],
  reduceMinimum: [simpleReduce],
  barrier: [constantBarrier],
  leaf: [],
  constant: [],
  iota: [],
}
