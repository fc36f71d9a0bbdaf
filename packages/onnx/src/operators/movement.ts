import {
  concatenate,
  cumulativeSum,
  full,
  indexWith,
  lowerTriangle,
  oneHot,
  type PadMode,
  pad,
  putAlongAxis,
  range,
  sizeOf,
  type Tensor,
  takeAlongAxis,
  tile,
  topK,
  updateAt,
  upperTriangle,
  where,
} from '@tessera/core'
import { elementType } from '../format/elements.ts'
import type { Constant } from '../format/tensor.ts'
import type { Call, Operator } from '../graph/call.ts'
import { foldPick } from '../graph/fold.ts'
import { broadcastShape, reshapedShape, sliceOf } from '../graph/shapes.ts'
import type { Result } from '../graph/value.ts'

/** ONNX's int64, in which shapes are. */
const int64 = elementType(7, 'shapes')

const indices = (data: readonly number[]): Constant => ({ type: int64, shape: [data.length], data })

function axisOf(call: Call, otherwise: number, rank: number): number {
  const axis = call.integer('axis', otherwise)
  return axis < 0 ? axis + rank : axis
}

/** Another shape of the same elements. */
function reshaped(call: Call, shape: readonly number[]): Result {
  const { constant } = call.value(0)
  return constant ? { ...constant, shape } : call.tensor(0).reshape(shape)
}

/** Indices of which negative ones count from the end. */
function fromStart(index: Tensor, extent: number): Tensor {
  const whole = index.cast('i32')
  return where(whole.less(0), whole.add(extent), whole)
}

const gather: Operator = (call) => {
  const { shape } = call.value(0)
  const axis = axisOf(call, 0, shape.length)
  const constants = call.constants()
  if (constants) {
    const [source, index] = constants as readonly [Constant, Constant]
    const rank = index.shape.length
    const result = [...shape.slice(0, axis), ...index.shape, ...shape.slice(axis + 1)]
    const flatIndex: Constant = { type: int64, shape: index.shape, data: index.data }
    return foldPick(source, result, (at) => {
      const own = at.slice(axis, axis + rank)
      const flat = own.reduce((sum, position, i) => sum * index.shape[i]! + position, 0)
      const position = flatIndex.data[flat]!
      return [...at.slice(0, axis), position < 0 ? position + shape[axis]! : position, ...at.slice(axis + rank)]
    })
  }
  return call.tensor(0).gather(fromStart(call.tensor(1), shape[axis]!), axis)
}

const slice: Operator = (call) => {
  const { shape } = call.value(0)
  const starts = call.integers('starts') ?? call.numbers(1, 'starts')
  const ends = call.integers('ends') ?? call.numbers(2, 'ends')
  const axes = call.axes(3, shape.length) ?? starts.map((_, i) => i)
  const steps = call.optionalNumbers(4, 'steps') ?? starts.map(() => 1)
  const slices = axes.map((axis, i) => ({
    axis,
    step: steps[i]!,
    ...sliceOf(shape[axis]!, starts[i]!, ends[i]!, steps[i]!),
  }))
  const { constant } = call.value(0)
  if (constant) {
    const byAxis = new Map(slices.map((part) => [part.axis, part]))
    const result = shape.map((extent, axis) => byAxis.get(axis)?.count ?? extent)
    return foldPick(constant, result, (at) =>
      at.map((position, axis) => {
        const part = byAxis.get(axis)
        return part ? part.first + position * part.step : position
      }),
    )
  }
  return slices.reduce((x, { axis, first, count, step }) => {
    if (count === 0) return x.slice(axis, 0, 0)
    if (step > 0) return x.slice(axis, first, first + (count - 1) * step + 1, step)
    // The elements in order, then the other way round.
    const last = first + (count - 1) * step
    return x.slice(axis, last, first + 1, -step).flip(axis)
  }, call.tensor(0))
}

const modes: Readonly<Record<string, PadMode>> = {
  constant: 'constant',
  reflect: 'reflect',
  edge: 'edge',
  wrap: 'circular',
}

const padded: Operator = (call) => {
  const { rank } = call.tensor(0)
  const amounts = call.integers('pads') ?? call.numbers(1, 'pads')
  const mode = modes[call.text('mode', 'constant')] ?? call.unsupported(`mode ${call.text('mode', '')}`)
  const value = call.opset < 11 ? call.float('value', 0) : (call.optionalNumbers(2, 'value')?.[0] ?? 0)
  const axes =
    call.optionalNumbers(3, 'axes')?.map((axis) => (axis < 0 ? axis + rank : axis)) ??
    Array.from({ length: rank }, (_, i) => i)
  const sides = Array.from({ length: rank }, (): [number, number] => [0, 0])
  axes.forEach((axis, i) => {
    sides[axis] = [amounts[i]!, amounts[i + axes.length]!]
  })
  // Negative amounts cut off.
  const cut = sides.reduce(
    (x, [low, high], axis) =>
      low < 0 || high < 0 ? x.slice(axis, Math.max(-low, 0), x.shape[axis]! - Math.max(-high, 0)) : x,
    call.tensor(0),
  )
  const added = sides.map(([low, high]): [number, number] => [Math.max(low, 0), Math.max(high, 0)])
  return pad(cut, added, mode, value)
}

const split: Operator = (call) => {
  const x = call.tensor(0)
  const axis = axisOf(call, 0, x.rank)
  const extent = x.shape[axis]!
  const given = call.integers('split') ?? call.optionalNumbers(1, 'split')
  const parts = call.integer('num_outputs', call.node.output.length)
  // All parts of one extent but the last, which may be smaller.
  const size = Math.ceil(extent / parts)
  const extents = given ?? Array.from({ length: parts }, (_, i) => Math.min(size, extent - i * size))
  return x.split(extents, axis)
}

/** Extents of 1 are removed: those of the axes, or all. */
const squeeze: Operator = (call) => {
  const { shape } = call.value(0)
  const axes = call.axes(1, shape.length)
  return reshaped(
    call,
    shape.filter((extent, axis) => (axes ? !axes.includes(axis) : extent !== 1)),
  )
}

const unsqueeze: Operator = (call) => {
  const { shape } = call.value(0)
  const given = call.integers('axes') ?? call.numbers(1, 'axes')
  const rank = shape.length + given.length
  const axes = new Set(given.map((axis) => (axis < 0 ? axis + rank : axis)))
  const rest = [...shape]
  return reshaped(
    call,
    Array.from({ length: rank }, (_, axis) => (axes.has(axis) ? 1 : rest.shift()!)),
  )
}

/** Moves blocks of channels to space, or back: both are a reshape, a transpose and a reshape. */
function depthToSpace(call: Call): Tensor {
  const [batch, channels, height, width] = call.tensor(0).shape as [number, number, number, number]
  const block = call.integer('blocksize', 1)
  const depth = channels / block ** 2
  const isColumnFirst = call.text('mode', 'DCR') === 'CRD'
  const parts = isColumnFirst
    ? [batch, depth, block, block, height, width]
    : [batch, block, block, depth, height, width]
  const order = isColumnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2]
  return call
    .tensor(0)
    .reshape(parts)
    .transpose(order)
    .reshape([batch, depth, height * block, width * block])
}

function spaceToDepth(call: Call): Tensor {
  const [batch, channels, height, width] = call.tensor(0).shape as [number, number, number, number]
  const block = call.integer('blocksize', 1)
  const parts = [batch, channels, height / block, block, width / block, block]
  const result = [batch, channels * block ** 2, height / block, width / block]
  return call.tensor(0).reshape(parts).transpose([0, 3, 5, 1, 2, 4]).reshape(result)
}

/** Index tensors of the last axis of `[..., count]`, for each of the first axes of what is indexed. */
function lastAxisIndices(index: Tensor): Tensor[] {
  return Array.from({ length: index.shape.at(-1)! }, (_, i) => index.select(-1, i).cast('i32'))
}

/** Operators that move elements, or say where they are, by their names in ONNX. */
export const movement: Readonly<Record<string, Operator>> = {
  Concat: (call) => {
    const constants = call.constants()
    const axis = axisOf(call, 0, call.value(0).shape.length)
    if (constants?.every(({ shape }) => shape.length === 1)) {
      const data = constants.flatMap((constant) => Array.from(constant.data))
      return { type: constants[0]!.type, shape: [data.length], data }
    }
    return concatenate(
      call.inputs.map((_, i) => call.tensor(i)),
      axis,
    )
  },
  Constant: (call) => {
    const integer = call.hasAttribute('value_int') ? [call.integer('value_int', 0)] : undefined
    const float = call.hasAttribute('value_float') ? [call.float('value_float', 0)] : undefined
    if (integer) return { type: int64, shape: [], data: integer }
    if (float) return { type: elementType(1, call.name), shape: [], data: float }
    const integers = call.integers('value_ints')
    if (integers) return indices(integers)
    const floats = call.floats('value_floats')
    if (floats) return { type: elementType(1, call.name), shape: [floats.length], data: floats }
    return call.constant('value') ?? call.unsupported('a constant that is sparse or text')
  },
  ConstantOfShape: (call) => {
    const shape = call.numbers(0, 'shape')
    const { type, data } = call.constant('value') ?? { type: elementType(1, call.name), data: [0] }
    const size = sizeOf(shape)
    if (size <= 4096) return { type, shape, data: new Array<number>(size).fill(data[0]!) }
    return full(shape, data[0]!, type.dtype)
  },
  CumSum: (call) => {
    const x = call.tensor(0)
    const [given] = call.numbers(1, 'axis') as [number]
    const axis = given < 0 ? given + x.rank : given
    const reverse = call.integer('reverse', 0) === 1
    const sums = cumulativeSum(x, axis, { reverse })
    return call.integer('exclusive', 0) === 1 ? sums.subtract(x) : sums
  },
  DepthToSpace: depthToSpace,
  Expand: (call) => {
    const shape = broadcastShape(call.value(0).shape, call.numbers(1, 'shape'))
    const { constant } = call.value(0)
    if (constant && sizeOf(shape) <= 4096) {
      const padding = shape.length - constant.shape.length
      return foldPick(constant, shape, (at) =>
        constant.shape.map((extent, axis) => (extent === 1 ? 0 : at[axis + padding]!)),
      )
    }
    return call.tensor(0).expand(shape)
  },
  Flatten: (call) => {
    const { shape } = call.value(0)
    const axis = axisOf(call, 1, shape.length)
    return reshaped(call, [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis))])
  },
  Gather: gather,
  GatherElements: (call) => {
    const x = call.tensor(0)
    const axis = axisOf(call, 0, x.rank)
    return takeAlongAxisOf(x, fromStart(call.tensor(1), x.shape[axis]!), axis)
  },
  GatherND: (call) => {
    if (call.integer('batch_dims', 0) !== 0) call.unsupported('batch_dims')
    return indexWith(call.tensor(0), lastAxisIndices(call.tensor(1)))
  },
  OneHot: (call) => {
    const [depth] = call.numbers(1, 'depth') as [number]
    const values = call.tensor(2)
    const index = fromStart(call.tensor(0), depth)
    const hot = oneHot(index, depth, 'f32')
    const axis = axisOf(call, -1, index.rank + 1)
    const order = Array.from({ length: index.rank }, (_, i) => i)
    order.splice(axis, 0, index.rank)
    const [off, on] = [values.select(0, 0), values.select(0, 1)]
    return where(hot.transpose(order).greater(0.5), on, off)
  },
  Pad: padded,
  Range: (call) => {
    const [[start], [limit], [delta]] = [0, 1, 2].map((i) => call.numbers(i, 'limits')) as [
      [number],
      [number],
      [number],
    ]
    const { type } = call.value(0).constant!
    const length = Math.max(0, Math.ceil((limit - start) / delta))
    if (length <= 4096) return { type, shape: [length], data: Array.from({ length }, (_, i) => start + i * delta) }
    return range(start, limit, delta, type.dtype)
  },
  Reshape: (call) => {
    const wanted = call.integers('shape') ?? call.numbers(1, 'shape')
    return reshaped(call, reshapedShape(call.value(0).shape, wanted, call.integer('allowzero', 0) === 1))
  },
  ScatterElements: (call) => {
    const x = call.tensor(0)
    const axis = axisOf(call, 0, x.rank)
    const reduction = call.text('reduction', 'none')
    if (reduction !== 'none' && reduction !== 'add') call.unsupported(`reduction ${reduction}`)
    const index = fromStart(call.tensor(1), x.shape[axis]!)
    if (index.shape.some((extent, i) => i !== axis && extent !== x.shape[i]))
      call.unsupported('indices that are smaller than the data')
    return putAlongAxis(x, index, call.tensor(2), axis, reduction === 'add' ? 'add' : 'set')
  },
  ScatterND: (call) => {
    const reduction = call.text('reduction', 'none')
    if (reduction !== 'none' && reduction !== 'add') call.unsupported(`reduction ${reduction}`)
    return updateAt(
      call.tensor(0),
      lastAxisIndices(call.tensor(1)),
      call.tensor(2),
      reduction === 'add' ? 'add' : 'set',
    )
  },
  Shape: (call) => {
    const { shape } = call.value(0)
    const { first, count } = sliceOf(shape.length, call.integer('start', 0), call.integer('end', shape.length), 1)
    return indices(shape.slice(first, first + count))
  },
  Size: (call) => ({ type: int64, shape: [], data: [sizeOf(call.value(0).shape)] }),
  Slice: slice,
  SpaceToDepth: spaceToDepth,
  Split: split,
  Squeeze: squeeze,
  Tile: (call) => tile(call.tensor(0), call.numbers(1, 'repeats')),
  TopK: (call) => {
    const x = call.tensor(0)
    const [count] = call.numbers(1, 'k') as [number]
    const { values, indices: places } = topK(x, count, axisOf(call, -1, x.rank), {
      largest: call.integer('largest', 1) === 1,
    })
    return [values, places]
  },
  Transpose: (call) => {
    const { shape } = call.value(0)
    const order = call.integers('perm') ?? shape.map((_, axis) => shape.length - 1 - axis)
    const { constant } = call.value(0)
    if (!constant) return call.tensor(0).transpose(order)
    const places = order.map((_, axis) => order.indexOf(axis))
    return foldPick(
      constant,
      order.map((axis) => shape[axis]!),
      (at) => places.map((place) => at[place]!),
    )
  },
  Trilu: (call) => {
    const offset = call.optionalNumbers(1, 'k')?.[0] ?? 0
    return call.integer('upper', 1) === 1
      ? upperTriangle(call.tensor(0), offset)
      : lowerTriangle(call.tensor(0), offset)
  },
  Unsqueeze: unsqueeze,
}

/** The other axes of the indices may be shorter than those of the data. */
function takeAlongAxisOf(x: Tensor, index: Tensor, axis: number): Tensor {
  const cut = index.shape.reduce(
    (result, extent, i) => (i === axis || extent === x.shape[i] ? result : result.slice(i, 0, extent)),
    x,
  )
  return takeAlongAxis(cut, index, axis)
}
