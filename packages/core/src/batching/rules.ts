import {
  add,
  binary,
  broadcastTo,
  cast,
  concatenate,
  gather,
  linearIndex,
  matmul,
  multiply,
  pad,
  permute,
  reshape,
  scatter,
  slice,
  where,
} from '../graph/build.ts'
import { createNode, type Node } from '../graph/node.ts'
import type { BinaryName, PrimitiveName, ReduceName, UnaryName } from '../graph/operations.ts'
import { binaryNames, primitives, reduceNames, unaryNames } from '../graph/primitives.ts'
import type { BatchContext } from '../plugin/contract.ts'

/** The op applied to each element of a leading batch axis. At least one input is batched. */
type Rule<Op extends PrimitiveName> = (context: BatchContext<Op>) => Node

/** Puts an axis in front. */
export function axisToFront(x: Node, axis: number): Node {
  return permute(x, [axis, ...x.shape.map((_, i) => i).filter((i) => i !== axis)])
}

/** Puts the first axis at a position of the result. */
export function axisFromFront(x: Node, axis: number): Node {
  const rest = x.shape.map((_, i) => i).slice(1)
  return permute(x, [...rest.slice(0, axis), 0, ...rest.slice(axis)])
}

/** Ops that treat all elements alike, whatever the shape. */
function pointwise<Op extends PrimitiveName>(op: Op): Rule<Op> {
  return ({ inputs, attributes, spread }) =>
    createNode(
      primitives[op],
      inputs.map((_, i) => spread(i)),
      attributes,
    )
}

function reduction<Op extends ReduceName>(op: Op): Rule<Op> {
  return ({ inputs, attributes }) =>
    createNode<ReduceName>(primitives[op], inputs, { axes: attributes.axes.map((axis) => axis + 1) })
}

const forAll = <Op extends PrimitiveName>(ops: readonly Op[], rule: (op: Op) => unknown) =>
  Object.fromEntries(ops.map((op) => [op, rule(op)]))

/** What has no inputs, or is read through the op that made it, is never batched by a rule. */
const never = (): never => {
  throw new Error('not batched')
}

/** Indices into `[size · length]` made of indices into each element's own `length`; `outside` where they are out of range. */
function flatIndices(indices: Node, length: number, size: number, outside: 'clamp' | 'ignore'): Node {
  const batch = reshape(linearIndex([size]), [size, ...indices.shape.slice(1).map(() => 1)])
  const offset = broadcastTo(multiply(batch, length), indices.shape)
  const signed = indices.dtype === 'i32'
  if (outside === 'clamp') {
    const low = signed ? binary('maximum', indices, 0) : indices
    return add(cast(binary('minimum', low, Math.max(length - 1, 0)), 'i32'), offset)
  }
  const below = binary('less', indices, length)
  const inside = signed ? binary('and', below, binary('lessEqual', 0, indices)) : below
  return where(inside, add(cast(indices, 'i32'), offset), size * length)
}

/** `[batch, …before, length, …after]` as `[batch · length, …before, …after]`. */
function rowsOf(x: Node, axis: number): Node {
  const moved = permute(x, [0, axis + 1, ...x.shape.map((_, i) => i).filter((i) => i !== 0 && i !== axis + 1)])
  return reshape(moved, [moved.shape[0]! * moved.shape[1]!, ...moved.shape.slice(2)])
}

/** `[batch, …indices, …before, …after]` as `[batch, …before, …indices, …after]` where `axis` axes stand before. */
function indexAxesBack(x: Node, indexRank: number, axis: number): Node {
  const at = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i)
  const before = at(1 + indexRank, axis)
  const after = at(1 + indexRank + axis, x.shape.length - 1 - indexRank - axis)
  return permute(x, [0, ...before, ...at(1, indexRank), ...after])
}

function indexAxesFront(x: Node, indexRank: number, axis: number): Node {
  const at = (first: number, count: number) => Array.from({ length: count }, (_, i) => first + i)
  const indices = at(1 + axis, indexRank)
  return permute(x, [0, ...indices, ...at(1, axis), ...at(1 + axis + indexRank, x.shape.length - 1 - axis - indexRank)])
}

const gatherRule: Rule<'gather'> = ({ inputs, batched, size, attributes: { axis } }) => {
  const [source, indices] = inputs as [Node, Node]
  if (!batched[1]) return gather(source, indices, axis + 1)
  if (!batched[0]) return axisToFront(gather(source, indices, axis), axis)
  const rows = gather(rowsOf(source, axis), flatIndices(indices, source.shape[axis + 1]!, size, 'clamp'), 0)
  return indexAxesBack(rows, indices.shape.length - 1, axis)
}

const scatterRule: Rule<'scatter'> = ({ inputs, batched, size, spread, attributes: { axis, mode } }) => {
  const indices = inputs[1]!
  const base = spread(0)
  const updates = spread(2)
  if (!batched[1]) return scatter(base, indices, updates, axis + 1, mode)
  const length = base.shape[axis + 1]!
  const indexRank = indices.shape.length - 1
  const flat = flatIndices(indices, length, size, 'ignore')
  const rows = scatter(rowsOf(base, axis), flat, indexAxesFront(updates, indexRank, axis), 0, mode)
  const apart = reshape(rows, [size, length, ...rows.shape.slice(1)])
  return axisFromSecond(apart, axis + 1)
}

/** Puts the second axis at a position of the result. */
function axisFromSecond(x: Node, axis: number): Node {
  const rest = x.shape.map((_, i) => i).filter((i) => i !== 1)
  return permute(x, [...rest.slice(0, axis), 1, ...rest.slice(axis)])
}

const matmulRule: Rule<'matmul'> = ({ inputs, batched, spread }) => {
  const [a, b] = inputs as [Node, Node]
  // One large product instead of many: [batch, M, K] × [K, N] is [batch · M, K] × [K, N].
  if (!batched[1] && b.shape.length === 2) {
    const [batch, rows, inner] = a.shape as [number, number, number]
    return reshape(matmul(reshape(a, [batch * rows, inner]), b), [batch, rows, b.shape[1]!])
  }
  return matmul(spread(0), spread(1))
}

/** Batching rules of the primitives. The type lists every primitive: one without a rule does not compile. */
export const batchRules = /* @__PURE__ */ makeBatchRules()

// A function, so that bundles without `vmap` leave the table out.
function makeBatchRules(): { readonly [Op in PrimitiveName]: Rule<Op> } {
  return {
    ...(forAll(unaryNames, pointwise) as { [Op in UnaryName]: Rule<Op> }),
    ...(forAll(binaryNames, pointwise) as { [Op in BinaryName]: Rule<Op> }),
    ...(forAll(reduceNames, reduction) as { [Op in ReduceName]: Rule<Op> }),
    leaf: never,
    constant: never,
    iota: never,
    output: never,
    where: pointwise('where'),
    cast: pointwise('cast'),
    bitcast: pointwise('bitcast'),
    stopGradient: pointwise('stopGradient'),
    barrier: pointwise('barrier'),
    reshape: ({ inputs, size, attributes }) => reshape(inputs[0]!, [size, ...attributes.shape]),
    permute: ({ inputs, attributes }) => permute(inputs[0]!, [0, ...attributes.axes.map((axis) => axis + 1)]),
    broadcast: ({ inputs, size, attributes }) => broadcastTo(inputs[0]!, [size, ...attributes.shape]),
    slice: ({ inputs, size, attributes: { starts, shape, steps } }) =>
      slice(inputs[0]!, [0, ...starts], [size, ...shape], [1, ...steps]),
    pad: ({ inputs, attributes: { low, high, value } }) => pad(inputs[0]!, [0, ...low], [0, ...high], value),
    concatenate: ({ inputs, spread, attributes: { axis } }) =>
      concatenate(
        inputs.map((_, i) => spread(i)),
        axis + 1,
      ),
    matmul: matmulRule,
    gather: gatherRule,
    scatter: scatterRule,
  }
}
