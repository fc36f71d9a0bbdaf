import type { Shape } from '../../../graph/shape.ts'
import * as indexing from '../../../tensor/indexing.ts'
import { at, fill, type HostTensor } from '../host.ts'
import { everyFormat, floats, numbers, type OpCase, type OperandSpec, type OpTest } from '../op-test.ts'

const exact = { relative: 0, absolute: 0 }

function lookup(op: string, cases: readonly OpCase[], settings: Partial<OpTest> = {}): OpTest {
  return { op, topic: 'indexing', cases, formats: everyFormat, gradient: true, spacings: exact, ...settings }
}

export const indices = (shape: Shape, low: number, high: number): OperandSpec => ({
  shape,
  range: [low, high],
  dtype: 'i32',
})
export const clamp = (i: number, extent: number) => Math.min(Math.max(i, 0), extent - 1)

/** A copy in which updates are applied one after the other. */
export function updated(
  base: HostTensor,
  positions: HostTensor,
  updates: HostTensor,
  place: (index: readonly number[], position: number) => readonly number[] | undefined,
  mode: 'set' | 'add',
): HostTensor {
  const result = fill(base.shape, (index) => at(base, index))
  let k = 0
  fill(updates.shape, (index) => {
    const target = place(index, at(positions, index.slice(0, positions.shape.length)))
    const value = updates.data[k++]!
    if (!target) return 0
    const flat = target.reduce((offset, i, axis) => offset * base.shape[axis]! + i, 0)
    result.data[flat] = mode === 'set' ? value : result.data[flat]! + value
    return 0
  })
  return result
}

export function alongAxisCase(shape: Shape, count: number, axis: number): OpCase {
  const picked = shape.map((extent, i) => (i === axis ? count : extent))
  return {
    name: `[${shape}] along ${axis}`,
    operands: [{ shape }, indices(picked, -2, shape[axis]! + 1)],
    apply: (x, i) => indexing.takeAlongAxis(x, i, axis),
    expected: (x, i) =>
      fill(picked, (index) => {
        const source = [...index]
        source[axis] = clamp(at(i!, index), shape[axis]!)
        return at(x!, source)
      }),
  }
}

function putCase(mode: 'set' | 'add'): OpCase {
  return {
    name: mode,
    operands: [{ shape: [3, 4] }, { ...indices([3, 2], 0, 0), values: [0, 2, -1, 3, 1, 9] }, { shape: [3, 2] }],
    apply: (x, i, y) => indexing.putAlongAxis(x, i, y, 1, mode),
    expected: (x, i, y) =>
      updated(x!, i!, y!, ([row], column) => (column < 0 || column > 3 ? undefined : [row!, column]), mode),
  }
}

function updateCase(mode: 'set' | 'add'): OpCase {
  return {
    name: mode,
    operands: [
      { shape: [3, 4, 2] },
      { ...indices([3], 0, 0), values: [0, -1, 5] },
      { ...indices([3], 0, 0), values: [1, 2, 0] },
      { shape: [3, 2] },
    ],
    apply: (x, i, j, y) => indexing.updateAt(x, [i, j], y, mode),
    expected: (x, i, j, y) => {
      const wrap = (position: number) => (position < 0 ? position + 3 : position)
      return updated(
        x!,
        i!,
        y!,
        ([k, last], row) => (wrap(row) > 2 ? undefined : [wrap(row), at(j!, [k!]), last!]),
        mode,
      )
    },
  }
}

function scatterCase(mode: 'set' | 'add'): OpCase {
  return {
    name: 'out of range, twice the same',
    operands: [{ shape: [4, 3] }, { ...indices([4], 0, 0), values: [2, 7, 2, -1] }, { shape: [4, 3] }],
    apply: (x, i, y) => (mode === 'set' ? x.scatterSet(i, y) : x.scatterAdd(i, y)),
    expected: (x, i, y) =>
      updated(x!, i!, y!, ([, column], row) => (row < 0 || row > 3 ? undefined : [row, column!]), mode),
  }
}

export const indexingTests: readonly OpTest[] = [
  lookup('gather', [
    {
      name: 'rows',
      operands: [{ shape: [5, 3] }, indices([2, 4], -2, 7)],
      apply: (x, i) => x.gather(i),
      expected: (x, i) => fill([2, 4, 3], ([a, b, c]) => at(x!, [clamp(at(i!, [a!, b!]), 5), c!])),
    },
    {
      name: 'columns',
      operands: [{ shape: [2, 5, 3] }, indices([4], 0, 4)],
      apply: (x, i) => x.gather(i, 1),
      expected: (x, i) => fill([2, 4, 3], ([a, b, c]) => at(x!, [a!, at(i!, [b!]), c!])),
    },
  ]),
  lookup('scatterAdd', [scatterCase('add')], { formats: numbers, spacings: { relative: 4, absolute: 4 } }),
  lookup('scatterSet', [scatterCase('set')]),
  lookup('takeAlongAxis', [alongAxisCase([3, 5], 2, 1), alongAxisCase([3, 5], 4, 0), alongAxisCase([2, 3, 4], 5, 1)]),
  lookup('putAlongAxis', [putCase('set')]),
  lookup('putAlongAxis, add', [putCase('add')], { formats: numbers, spacings: { relative: 4, absolute: 4 } }),
  lookup('indexWith', [
    {
      name: 'two axes of three',
      operands: [{ shape: [3, 4, 2] }, indices([5, 1], -3, 2), indices([2], -4, 3)],
      apply: (x, i, j) => indexing.indexWith(x, [i, j]),
      expected: (x, i, j) => {
        const wrap = (position: number, extent: number) => (position < 0 ? position + extent : position)
        return fill([5, 2, 2], ([a, b, c]) => at(x!, [wrap(at(i!, [a!, 0]), 3), wrap(at(j!, [b!]), 4), c!]))
      },
    },
  ]),
  lookup('updateAt', [updateCase('set')]),
  lookup('updateAt, add', [updateCase('add')], { formats: numbers, spacings: { relative: 4, absolute: 4 } }),
  lookup('sliceAt', [
    {
      name: 'held inside',
      operands: [{ shape: [2, 6] }, { shape: [], values: [5], dtype: 'i32' }],
      apply: (x, start) => indexing.sliceAt(x, start, 3, 1),
      expected: (x) => fill([2, 3], ([i, j]) => at(x!, [i!, 3 + j!])),
    },
  ]),
  lookup('updateSliceAt', [
    {
      name: 'inside',
      operands: [{ shape: [2, 6] }, { shape: [], values: [2], dtype: 'i32' }, { shape: [2, 3] }],
      apply: (x, start, part) => indexing.updateSliceAt(x, start, part, 1),
      expected: (x, _, part) =>
        fill([2, 6], ([i, j]) => (j! < 2 || j! > 4 ? at(x!, [i!, j!]) : at(part!, [i!, j! - 2]))),
    },
  ]),
  lookup(
    'maskedFill',
    [
      {
        name: 'broadcast mask',
        operands: [{ shape: [2, 3] }, { shape: [3], values: [1, 0, 1], dtype: 'bool' }],
        apply: (x, mask) => indexing.maskedFill(x, mask, 1),
        expected: (x, mask) => fill([2, 3], ([i, j]) => (at(mask!, [j!]) ? 1 : at(x!, [i!, j!]))),
      },
    ],
    { formats: [...floats, 'i32', 'u32', 'i8', 'u8'] },
  ),
  lookup(
    'oneHot',
    [
      {
        name: 'out of range',
        operands: [indices([2, 3], -1, 4)],
        apply: (i) => indexing.oneHot(i, 4),
        expected: (i) => fill([2, 3, 4], ([a, b, c]) => Number(at(i!, [a!, b!]) === c)),
      },
    ],
    { formats: ['i32'], gradient: 'indices have none' },
  ),
]
