import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import { axisIndex, binary, broadcastTo, cast, concatenate, iota, pad, reshape, slice, unary, where } from '../build.ts'
import { isFloat } from '../format.ts'
import { flip } from '../movement.ts'
import { formatSpec, type Node } from '../node.ts'
import { sizeOf } from '../shape.ts'
import { lastAxis } from './rows.ts'

/** Attributes of the ops in this file. */
export interface SortAttributes {
  /**
   * Positions (i32) that bring the last axis in order. Stable: equal elements keep their order, 0 equals −0. NaN counts as larger than
   * every number.
   */
  argSort: { readonly descending: boolean }
}

/** Batcher's bitonic network (1968): log² n steps of compare and exchange, each a loop over everything. */
export const argSort: OpDefinition<'argSort'> = {
  op: 'argSort',
  shape: ([x]) => {
    if (!x || x.shape.length === 0)
      throw new ShapeError(`argSort: takes a tensor with at least one axis, got ${x ? formatSpec(x) : 'nothing'}.`)
    return [{ shape: x.shape, dtype: 'i32' }]
  },
  lower: ([x], { descending }) => {
    const extent = x!.shape.at(-1)!
    const rows = sizeOf(x!.shape.slice(0, -1))
    if (extent < 2 || rows === 0) return [axisIndex(x!.shape, lastAxis(x!))]
    const width = 2 ** Math.ceil(Math.log2(extent))
    const keys = cast(x!, x!.dtype === 'bool' ? 'i32' : x!.dtype)
    const start: Sequence = {
      keys: pad(reshape(keys, [rows, extent]), [0, 0], [0, width - extent]),
      // Positions beyond the end come last, whatever their key.
      positions: broadcastTo(iota(width), [rows, width]),
    }
    const sorted = network(start, width, extent, descending)
    return [reshape(slice(sorted.positions, [0, 0], [rows, extent]), x!.shape)]
  },
  vjp: () => [undefined],
}

interface Sequence {
  readonly keys: Node
  readonly positions: Node
}

function network(start: Sequence, width: number, extent: number, descending: boolean): Sequence {
  let sequence = start
  for (let block = 2; block <= width; block *= 2) {
    // Halves are sorted the same way; comparing the first with the mirrored second merges them.
    sequence = exchange(sequence, block, true, extent, descending)
    for (let distance = block / 4; distance >= 1; distance /= 2)
      sequence = exchange(sequence, 2 * distance, false, extent, descending)
  }
  return sequence
}

/** Compares the halves of blocks, the second one mirrored or as it is, and puts the smaller ones into the first. */
function exchange(sequence: Sequence, block: number, mirrored: boolean, extent: number, descending: boolean): Sequence {
  const [rows, width] = sequence.keys.shape as [number, number]
  const half = block / 2
  const shape = [rows, width / block, half]
  const halves = (node: Node): [Node, Node] => {
    const blocks = reshape(node, [rows, width / block, 2, half])
    const part = (i: number) => reshape(slice(blocks, [0, 0, i, 0], [rows, width / block, 1, half]), shape)
    return [part(0), mirrored ? flip(part(1), 2) : part(1)]
  }
  const [a, b] = halves(sequence.keys)
  const [i, j] = halves(sequence.positions)
  const swap = comesBefore(b, j, a, i, extent, descending)
  const join = (first: Node, second: Node): Node => {
    const parts = [first, mirrored ? flip(second, 2) : second].map((part) =>
      reshape(part, [rows, width / block, 1, half]),
    )
    return reshape(concatenate(parts, 2), [rows, width])
  }
  return {
    keys: join(where(swap, b, a), where(swap, a, b)),
    positions: join(where(swap, j, i), where(swap, i, j)),
  }
}

/** Whether the element `a` at position `i` stands before `b` at `j` in the order. */
function comesBefore(a: Node, i: Node, b: Node, j: Node, extent: number, descending: boolean): Node {
  const below = (x: Node, y: Node) => {
    const less = binary('less', x, y)
    return isFloat(x.dtype) ? binary('or', less, binary('and', binary('notEqual', y, y), binary('equal', x, x))) : less
  }
  const before = descending ? below(b, a) : below(a, b)
  const after = descending ? below(a, b) : below(b, a)
  const tie = binary('and', binary('less', i, j), unary('not', after))
  const ordered = binary('or', before, tie)
  const isPadding = (position: Node) => binary('lessEqual', extent, position)
  return binary('and', unary('not', isPadding(i)), binary('or', isPadding(j), ordered))
}
