import type { Shape } from '../../../graph/shape.ts'
import * as movement from '../../../tensor/movement.ts'
import type { Tensor } from '../../../tensor/tensor.ts'
import type { Choices } from '../choices.ts'
import { at, fill, type HostTensor, reshaped } from '../host.ts'
import type { OpCase, OpTest } from '../op-test.ts'
import { anyAxis, anyExtent, anyPair, anyShape, someAxes } from '../shapes.ts'
import { padCase } from '../tables/movement.ts'

/** Random shapes and attributes for ops that only say where elements come from. Special numbers have to come through as they are. */

type Property = NonNullable<OpTest['property']>

/** Each element of the result is the element of `x` at an index. */
function from(
  name: string,
  shape: Shape,
  apply: (x: Tensor) => Tensor,
  result: Shape,
  source: (index: readonly number[]) => readonly number[],
): OpCase {
  return {
    name: `[${shape}] ${name}`,
    operands: [{ shape, specials: true }],
    apply,
    expected: (x) => fill(result, (index) => at(x!, source(index))),
  }
}

const put = <T>(list: readonly T[], axis: number, value: T): T[] => list.map((old, i) => (i === axis ? value : old))
const without = <T>(list: readonly T[], axis: number): T[] => list.filter((_, i) => i !== axis)
const inserted = <T>(list: readonly T[], axis: number, value: T): T[] => [
  ...list.slice(0, axis),
  value,
  ...list.slice(axis),
]

function order(choices: Choices, rank: number): number[] {
  const rest = Array.from({ length: rank }, (_, i) => i)
  return Array.from({ length: rank }, () => rest.splice(choices.integer(0, rest.length - 1), 1)[0]!)
}

function withAxis(choices: Choices, options: Parameters<typeof anyShape>[1] = {}): [Shape, number] {
  const shape = anyShape(choices, { least: 1, ...options })
  return [shape, anyAxis(choices, shape)]
}

/** The same elements in row-major order. */
const sameElements = (name: string, shape: Shape, apply: (x: Tensor) => Tensor, result: Shape): OpCase => ({
  name: `[${shape}] ${name}`,
  operands: [{ shape, specials: true }],
  apply,
  expected: (x) => reshaped(x!, result),
})

const slice: Property = (choices) => {
  const [shape, axis] = withAxis(choices)
  const extent = shape[axis]!
  const step = choices.pick([1, 2, 3, -1, -2])
  const [a, b] = [choices.integer(0, extent), choices.integer(0, extent)]
  const [low, high] = [Math.min(a, b), Math.max(a, b)]
  if (step > 0) {
    const count = Math.ceil((high - low) / step)
    return from(
      `from ${low} to ${high} by ${step} along ${axis}`,
      shape,
      (x) => x.slice(axis, low, high, step),
      put(shape, axis, count),
      (index) => put(index, axis, low + step * index[axis]!),
    )
  }
  // Backwards from the last one to the one after `low`.
  const count = Math.max(0, Math.ceil((extent - 1 - low) / -step))
  return from(
    `backwards to ${low} by ${step} along ${axis}`,
    shape,
    (x) => x.slice(axis, -1, low, step),
    put(shape, axis, count),
    (index) => put(index, axis, extent - 1 + step * index[axis]!),
  )
}

const tile: Property = (choices) => {
  const shape = anyShape(choices, { most: 3, elements: 100 })
  const counts = Array.from({ length: choices.integer(0, 3) }, () => choices.integer(0, 3))
  const rank = Math.max(shape.length, counts.length)
  const wide = [...new Array<number>(rank - shape.length).fill(1), ...shape]
  const times = [...new Array<number>(rank - counts.length).fill(1), ...counts]
  return from(
    `tiled by ${counts}`,
    shape,
    (x) => movement.tile(x, counts),
    wide.map((extent, i) => extent * times[i]!),
    (index) => index.map((i, axis) => i % wide[axis]!).slice(rank - shape.length),
  )
}

const repeat: Property = (choices) => {
  const [shape, axis] = withAxis(choices, { elements: 150 })
  const counts = Array.from({ length: shape[axis]! }, () => choices.integer(0, 3))
  const sources = counts.flatMap((count, i) => new Array<number>(count).fill(i))
  return from(
    `repeated along ${axis} by ${counts}`,
    shape,
    (x) => movement.repeat(x, counts, axis),
    put(shape, axis, sources.length),
    (index) => put(index, axis, sources[index[axis]!]!),
  )
}

const pad: Property = (choices) => {
  const mode = choices.pick(['constant', 'edge', 'reflect', 'symmetric', 'circular'] as const)
  const shape = anyShape(choices, { most: 3, elements: 100, filled: mode !== 'constant' })
  const amounts = shape.map(() => [choices.integer(0, 3), choices.integer(0, 3)] as const)
  const test = padCase(mode, shape, amounts)
  return { ...test, operands: [{ shape, specials: true }] }
}

const concatenate: Property = (choices) => {
  const [shape, axis] = withAxis(choices, { elements: 200 })
  const shapes = [shape, put(shape, axis, choices.pick([1, 0, 2, 5])), put(shape, axis, choices.pick([1, 0, 3]))]
  return {
    name: `${shapes.map((part) => `[${part}]`).join(' and ')} along ${axis}`,
    operands: shapes.map((part) => ({ shape: part, specials: true })),
    apply: (...parts) => movement.concatenate(parts, axis),
    expected: (...parts) =>
      fill(
        put(
          shape,
          axis,
          shapes.reduce((sum, part) => sum + part[axis]!, 0),
        ),
        (index) => {
          let position = index[axis]!
          let part = 0
          while (position >= shapes[part]![axis]!) position -= shapes[part++]![axis]!
          return at(parts[part]!, put(index, axis, position))
        },
      ),
  }
}

const split: Property = (choices) => {
  const [shape, axis] = withAxis(choices)
  const first = choices.integer(0, shape[axis]!)
  return from(
    `the rest after ${first} along ${axis}`,
    shape,
    (x) => x.split([first, shape[axis]! - first], axis)[1]!,
    put(shape, axis, shape[axis]! - first),
    (index) => put(index, axis, index[axis]! + first),
  )
}

const slidingWindows: Property = (choices) => {
  const [shape, axis] = withAxis(choices, { filled: true, elements: 200 })
  const extent = choices.integer(1, Math.min(5, shape[axis]!))
  const step = choices.integer(1, 3)
  return from(
    `windows of ${extent} by ${step} along ${axis}`,
    shape,
    (x) => movement.slidingWindows(x, extent, step, axis),
    [...put(shape, axis, Math.floor((shape[axis]! - extent) / step) + 1), extent],
    (index) => put(index.slice(0, -1), axis, index[axis]! * step + index.at(-1)!),
  )
}

const rotateQuarter: Property = (choices) => {
  const shape = anyShape(choices, { least: 2 })
  const turns = choices.integer(0, 3)
  const [rows, columns] = shape as readonly [number, number]
  const turned = turns % 2 === 1 ? [columns, rows] : [rows, columns]
  const sources = [
    (i: number, j: number) => [i, j],
    (i: number, j: number) => [j, columns - 1 - i],
    (i: number, j: number) => [rows - 1 - i, columns - 1 - j],
    (i: number, j: number) => [rows - 1 - j, i],
  ]
  return from(
    `turned ${turns} times`,
    shape,
    (x) => movement.rotateQuarter(x, turns),
    [...turned, ...shape.slice(2)],
    ([i, j, ...rest]) => [...sources[turns]!(i!, j!), ...rest],
  )
}

const joined = (apply: (x: Tensor, y: Tensor) => Tensor[], shapes: readonly [Shape, Shape], result: Shape): OpCase => ({
  name: `[${shapes[0]}] and [${shapes[1]}]`,
  operands: shapes.map((shape) => ({ shape, specials: true })),
  apply: (x, y) => movement.stack(apply(x, y)),
  expected: (x, y) => fill([2, ...result], ([side, ...index]) => at(side === 0 ? x! : y!, index)),
})

export const movementProperties: Readonly<Record<string, Property>> = {
  slice,
  tile,
  repeat,
  pad,
  concatenate,
  split,
  slidingWindows,
  rotateQuarter,
  reshape(choices) {
    const shape = anyShape(choices)
    const result = [...shape].reverse()
    return sameElements(`→ [${result}]`, shape, (x) => x.reshape(result), result)
  },
  flatten(choices) {
    const shape = anyShape(choices, { least: 2 })
    const start = choices.integer(0, shape.length - 1)
    const rest = shape.slice(start).reduce((product, extent) => product * extent, 1)
    return sameElements(`from axis ${start}`, shape, (x) => x.flatten(start), [...shape.slice(0, start), rest])
  },
  transpose(choices) {
    const shape = anyShape(choices)
    const axes = order(choices, shape.length)
    return from(
      `by ${axes}`,
      shape,
      (x) => x.transpose(axes),
      axes.map((axis) => shape[axis]!),
      (index) => shape.map((_, axis) => index[axes.indexOf(axis)]!),
    )
  },
  expand(choices) {
    const [narrow, joint] = [...anyPair(choices)].sort((a, b) => a.length - b.length) as [Shape, Shape]
    const result = joint.map((extent, i) => Math.max(extent, narrow[i - joint.length + narrow.length] ?? 1))
    const target = joint.map((extent, i) => {
      const own = narrow[i - joint.length + narrow.length] ?? 1
      return own === 1 ? extent : own
    })
    return {
      name: `[${narrow}] → [${target}]`,
      operands: [{ shape: narrow, specials: true }],
      apply: (x) => x.expand(target),
      expected: (x) => fill(result.includes(0) || target.includes(0) ? target : result, (index) => at(x!, index)),
    }
  },
  unsqueeze(choices) {
    const shape = anyShape(choices, { most: 3 })
    const axis = choices.integer(0, shape.length)
    return sameElements(`at ${axis}`, shape, (x) => x.unsqueeze(axis), inserted(shape, axis, 1))
  },
  squeeze(choices) {
    const shape = anyShape(choices, { most: 3 })
    const axis = choices.integer(0, shape.length)
    return sameElements(`at ${axis}`, inserted(shape, axis, 1), (x) => x.squeeze(axis), shape)
  },
  select(choices) {
    const [shape, axis] = withAxis(choices, { filled: true })
    const position = choices.integer(0, shape[axis]! - 1)
    return from(
      `${position} along ${axis}`,
      shape,
      (x) => x.select(axis, position),
      without(shape, axis),
      (index) => inserted(index, axis, position),
    )
  },
  flip(choices) {
    const shape = anyShape(choices)
    const axes = someAxes(choices, shape)
    return from(
      `over ${axes}`,
      shape,
      (x) => x.flip(axes),
      shape,
      (index) => index.map((i, axis) => (axes.includes(axis) ? shape[axis]! - 1 - i : i)),
    )
  },
  roll(choices) {
    const [shape, axis] = withAxis(choices)
    const shift = choices.integer(0, 20) - 10
    const extent = shape[axis]!
    return from(
      `by ${shift} along ${axis}`,
      shape,
      (x) => movement.roll(x, shift, axis),
      shape,
      (index) => put(index, axis, (((index[axis]! - shift) % extent) + extent) % extent),
    )
  },
  chunk(choices) {
    const [shape, axis] = withAxis(choices, { filled: true })
    const extent = choices.integer(1, 9)
    const last = Math.ceil(shape[axis]! / extent) - 1
    return from(
      `the last of ${extent} along ${axis}`,
      shape,
      (x) => movement.chunk(x, extent, axis)[last]!,
      put(shape, axis, shape[axis]! - last * extent),
      (index) => put(index, axis, index[axis]! + last * extent),
    )
  },
  unstack(choices) {
    const [shape, axis] = withAxis(choices, { filled: true, elements: 60 })
    return from(
      `the last along ${axis}`,
      shape,
      (x) => movement.unstack(x, axis).at(-1)!,
      without(shape, axis),
      (index) => inserted(index, axis, shape[axis]! - 1),
    )
  },
  moveAxis(choices) {
    const [shape, source] = withAxis(choices)
    const target = anyAxis(choices, shape)
    const move = <T>(list: readonly T[], from: number, to: number) => inserted(without(list, from), to, list[from]!)
    return from(
      `${source} to ${target}`,
      shape,
      (x) => movement.moveAxis(x, source, target),
      move(shape, source, target),
      (index) => move(index, target, source),
    )
  },
  swapAxes(choices) {
    const [shape, a] = withAxis(choices)
    const b = anyAxis(choices, shape)
    const swap = <T>(list: readonly T[]) => put(put(list, a, list[b]!), b, list[a]!)
    return from(`${a} and ${b}`, shape, (x) => movement.swapAxes(x, a, b), swap(shape), swap)
  },
  stack(choices) {
    const shape = anyShape(choices, { most: 3, elements: 200 })
    const axis = choices.integer(0, shape.length)
    return {
      name: `[${shape}] along ${axis}`,
      operands: [
        { shape, specials: true },
        { shape, specials: true },
      ],
      apply: (x, y) => movement.stack([x, y], axis),
      expected: (x, y) =>
        fill(inserted(shape, axis, 2), (index) => at((index[axis] === 0 ? x : y) as HostTensor, without(index, axis))),
    }
  },
  broadcastTensors(choices) {
    const shapes = anyPair(choices, { most: 3, elements: 200 })
    const [long, short] = shapes[0].length >= shapes[1].length ? shapes : [shapes[1], shapes[0]]
    const result = long.map((extent, i) => {
      const other = short[i - long.length + short.length] ?? 1
      return extent === 1 ? other : extent
    })
    return joined((x, y) => movement.broadcastTensors(x, y), shapes, result)
  },
  meshGrid(choices) {
    const [a, b] = [anyExtent(choices, 17), anyExtent(choices, 17)]
    const test = joined((x, y) => movement.meshGrid(x, y), [[a], [b]], [a, b])
    return {
      ...test,
      expected: (x, y) => fill([2, a, b], ([side, i, j]) => (side === 0 ? x!.data[i!]! : y!.data[j!]!)),
    }
  },
  stopGradient(choices) {
    const shape = anyShape(choices)
    return sameElements('', shape, (x) => x.stopGradient(), shape)
  },
}
