import { ShapeError } from '../errors.ts'
import * as build from '../graph/build.ts'
import { type DType, promote } from '../graph/format.ts'
import { flip } from '../graph/movement.ts'
import { formatSpec } from '../graph/node.ts'
import { broadcastShapes, normalizeAxes, normalizeAxis, type Shape } from '../graph/shape.ts'
import { evaluateNodes } from '../run/evaluate.ts'
import { tensor } from './create.ts'
import { Tensor } from './tensor.ts'

/** Joins tensors along an axis; formats are promoted. */
export function concatenate(parts: readonly Tensor[], axis = 0): Tensor {
  const first = parts[0]
  if (!first) throw new ShapeError('concatenate: takes at least one tensor, got none.')
  const dtype = parts.reduce<DType>((format, part) => promote(format, part.dtype), first.dtype)
  return new Tensor(
    build.concatenate(
      parts.map((part) => build.cast(part.node, dtype)),
      normalizeAxis('concatenate', axis, first.rank),
    ),
  )
}

/** Joins tensors of one shape along a new axis. */
export function stack(parts: readonly Tensor[], axis = 0): Tensor {
  return concatenate(
    parts.map((part) => part.unsqueeze(axis)),
    axis,
  )
}

/** A copy in memory of its own, which no jit function takes over. */
export function copy(x: Tensor): Tensor {
  return new Tensor(evaluateNodes([x.node])[0]!)
}

/** The parts of an axis, which is removed: the reverse of `stack`. */
export function unstack(x: Tensor, axis = 0): Tensor[] {
  const at = normalizeAxis('unstack', axis, x.rank)
  return Array.from({ length: x.shape[at]! }, (_, i) => x.select(at, i))
}

/** Parts of at most `extent` elements of an axis. */
export function chunk(x: Tensor, extent: number, axis = 0): Tensor[] {
  const at = normalizeAxis('chunk', axis, x.rank)
  if (!Number.isInteger(extent) || extent < 1)
    throw new ShapeError(`chunk: the extent must be an integer above 0, got ${extent}.`)
  const count = Math.ceil(x.shape[at]! / extent)
  return Array.from({ length: count }, (_, i) => x.slice(at, i * extent, Math.min((i + 1) * extent, x.shape[at]!)))
}

/** Axes at positions `from` moved to positions `to`; the others keep their order. */
export function moveAxis(x: Tensor, from: number | readonly number[], to: number | readonly number[]): Tensor {
  const list = (axes: number | readonly number[]) =>
    (typeof axes === 'number' ? [axes] : axes).map((axis) => normalizeAxis('moveAxis', axis, x.rank))
  const [sources, targets] = [list(from), list(to)]
  if (
    sources.length !== targets.length ||
    new Set(sources).size !== sources.length ||
    new Set(targets).size !== targets.length
  )
    throw new ShapeError(
      `moveAxis: axes [${sources.join(', ')}] and [${targets.join(', ')}] must be distinct and as many.`,
    )
  const order = new Array<number>(x.rank).fill(-1)
  targets.forEach((target, i) => {
    order[target] = sources[i]!
  })
  const others = x.shape.map((_, axis) => axis).filter((axis) => !sources.includes(axis))
  return x.transpose(order.map((axis) => (axis < 0 ? others.shift()! : axis)))
}

/** Two axes exchanged. */
export function swapAxes(x: Tensor, first: number, second: number): Tensor {
  const axes = x.shape.map((_, axis) => axis)
  const [a, b] = [normalizeAxis('swapAxes', first, x.rank), normalizeAxis('swapAxes', second, x.rank)]
  axes[a] = b
  axes[b] = a
  return x.transpose(axes)
}

/** Elements moved along axes by `shifts`, those that leave at the end coming in at the start. */
export function roll(x: Tensor, shifts: number | readonly number[], axes: number | readonly number[]): Tensor {
  const [amounts, list] = [typeof shifts === 'number' ? [shifts] : shifts, typeof axes === 'number' ? [axes] : axes]
  if (amounts.length !== list.length || !amounts.every(Number.isInteger))
    throw new ShapeError(
      `roll: takes one integer for each axis, got [${amounts.join(', ')}] for axes [${list.join(', ')}].`,
    )
  return list.reduce((result, axis, i) => {
    const at = normalizeAxis('roll', axis, x.rank)
    const extent = x.shape[at]!
    const shift = extent === 0 ? 0 : ((amounts[i]! % extent) + extent) % extent
    if (shift === 0) return result
    return concatenate([result.slice(at, extent - shift), result.slice(at, 0, extent - shift)], at)
  }, x)
}

/** The whole tensor repeated along axes: NumPy's `tile`. Axes are added in front where more counts are given. */
export function tile(x: Tensor, counts: readonly number[]): Tensor {
  if (!counts.every((count) => Number.isInteger(count) && count >= 0))
    throw new ShapeError(`tile: counts must be integers that are not negative, got [${counts.join(', ')}].`)
  const rank = Math.max(x.rank, counts.length)
  const shape = [...new Array<number>(rank - x.rank).fill(1), ...x.shape]
  const repeats = [...new Array<number>(rank - counts.length).fill(1), ...counts]
  // [a, b] → [1, a, 1, b] → [m, a, n, b] → [m · a, n · b]
  return x
    .reshape(shape.flatMap((extent) => [1, extent]))
    .expand(shape.flatMap((extent, axis) => [repeats[axis]!, extent]))
    .reshape(shape.map((extent, axis) => extent * repeats[axis]!))
}

/** Each element of an axis repeated: all `count` times, or the i-th one `count[i]` times. */
export function repeat(x: Tensor, count: number | readonly number[], axis: number): Tensor {
  const at = normalizeAxis('repeat', axis, x.rank)
  const extent = x.shape[at]!
  const counts = typeof count === 'number' ? new Array<number>(extent).fill(count) : count
  if (counts.length !== extent || !counts.every((times) => Number.isInteger(times) && times >= 0)) {
    throw new ShapeError(
      `repeat: takes a count or ${extent} of them, integers that are not negative, for axis ${at} of ${formatSpec(x)}, got ${count}.`,
    )
  }
  if (typeof count !== 'number') {
    const positions = counts.flatMap((times, i) => new Array<number>(times).fill(i))
    return x.gather(tensor(Int32Array.from(positions)), at)
  }
  const unit = x.unsqueeze(at + 1)
  const repeated = unit.shape.map((size, i) => (i === at + 1 ? count : size))
  return unit.expand(repeated).reshape(x.shape.map((size, i) => (i === at ? size * count : size)))
}

export type PadMode = 'constant' | 'edge' | 'reflect' | 'symmetric' | 'circular'

/**
 * Adds `[low, high]` elements before and after each axis: a constant, the edge element (`edge`), the neighbours mirrored without (`reflect`)
 * or with the edge (`symmetric`), or those of the other end (`circular`).
 */
export function pad(
  x: Tensor,
  amounts: readonly (readonly [number, number])[],
  mode: PadMode = 'constant',
  value = 0,
): Tensor {
  if (
    amounts.length !== x.rank ||
    amounts.some((pair) => !pair.every((count) => Number.isInteger(count) && count >= 0))
  ) {
    throw new ShapeError(
      `pad: takes two integers that are not negative for each axis of ${formatSpec(x)}, got [${amounts.map((pair) => `[${pair.join(', ')}]`).join(', ')}].`,
    )
  }
  if (mode === 'constant') return x.pad(amounts, value)
  return amounts.reduce((result, [low, high], axis) => padAxis(result, axis, low, high, mode), x)
}

function padAxis(x: Tensor, axis: number, low: number, high: number, mode: Exclude<PadMode, 'constant'>): Tensor {
  if (low === 0 && high === 0) return x
  const extent = x.shape[axis]!
  if (extent === 0)
    throw new ShapeError(`pad: axis ${axis} of ${formatSpec(x)} has no element to repeat. Use mode 'constant'.`)
  if (mode === 'edge' || extent === 1) {
    const edge = (position: number, count: number) =>
      x.slice(axis, position, position + 1).expand(x.shape.map((size, i) => (i === axis ? count : size)))
    return concatenate([edge(0, low), x, edge(extent - 1, high)], axis)
  }
  if (mode === 'circular') {
    const rounds = 1 + Math.floor(low / extent) + Math.floor(high / extent)
    const [first, last] = [x.slice(axis, extent - (low % extent)), x.slice(axis, 0, high % extent)]
    return concatenate([first, ...new Array<Tensor>(rounds).fill(x), last], axis)
  }
  // One round adds at most a whole mirror image; larger amounts take several.
  const step = mode === 'reflect' ? extent - 1 : extent
  const [before, after] = [Math.min(low, step), Math.min(high, step)]
  const mirrored = (part: Tensor) => new Tensor(flip(part.node, axis))
  const offset = mode === 'reflect' ? 1 : 0
  const parts = [
    mirrored(x.slice(axis, offset, offset + before)),
    x,
    mirrored(x.slice(axis, extent - offset - after, extent - offset)),
  ]
  const wider = concatenate(parts, axis)
  return padAxis(wider, axis, low - before, high - after, mode)
}

/** One tensor for each axis of a grid: value `i` of input `k` at every point whose index along axis `k` is `i`. */
export function meshGrid(...axes: readonly Tensor[]): Tensor[] {
  const shape = axes.map((axis) => axis.size)
  return axes.map((axis, k) => axis.reshape(shape.map((extent, i) => (i === k ? extent : 1))).expand(shape))
}

/** Tensors broadcast to their joint shape. */
export function broadcastTensors(...tensors: readonly Tensor[]): Tensor[] {
  const shape = tensors.reduce<Shape>((joint, x) => broadcastShapes('broadcastTensors', joint, x.shape), [])
  return tensors.map((x) => x.expand(shape))
}

/** Windows of `extent` elements of an axis, `step` apart, as a new last axis. */
export function slidingWindows(x: Tensor, extent: number, step = 1, axis = -1): Tensor {
  const at = normalizeAxis('slidingWindows', axis, x.rank)
  const count = Math.floor((x.shape[at]! - extent) / step) + 1
  if (!(Number.isInteger(extent) && extent > 0 && Number.isInteger(step) && step > 0 && count > 0))
    throw new ShapeError(
      `slidingWindows: windows of ${extent}, ${step} apart, do not fit axis ${at} of ${formatSpec(x)}.`,
    )
  const parts = Array.from({ length: extent }, (_, i) => x.slice(at, i, i + (count - 1) * step + 1, step))
  return stack(parts, -1)
}

/** Quarter turns of the plane of two axes, from the first towards the second. */
export function rotateQuarter(x: Tensor, turns = 1, axes: readonly [number, number] = [0, 1]): Tensor {
  const [a, b] = normalizeAxes('rotateQuarter', axes, x.rank) as [number, number]
  const quarter = ((turns % 4) + 4) % 4
  if (quarter === 0) return x
  if (quarter === 2) return x.flip([a, b])
  const swapped = swapAxes(x, a, b)
  return quarter === 1 ? swapped.flip(a) : swapped.flip(b)
}
