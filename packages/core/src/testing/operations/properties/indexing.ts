import type { Shape } from '../../../graph/shape.ts'
import * as indexing from '../../../tensor/indexing.ts'
import { at, fill } from '../host.ts'
import type { OpCase, OpTest } from '../op-test.ts'
import { anyAxis, anyExtent, anyShape } from '../shapes.ts'
import { alongAxisCase, clamp, indices, updated } from '../tables/indexing.ts'

/** Random shapes for ops that look up and write at positions which are data; some lie out of range. */

type Property = NonNullable<OpTest['property']>

const put = (list: readonly number[], axis: number, value: number) => list.map((old, i) => (i === axis ? value : old))

function scatter(mode: 'set' | 'add'): Property {
  return (choices) => {
    const rows = anyExtent(choices, 33)
    const rest = anyShape(choices, { most: 2, elements: 20 })
    const count = choices.pick([1, 0, 2, 5, 17])
    // Values that are set at one place twice would depend on the order, which is the order of rows.
    return {
      name: `[${[rows, ...rest]}] at ${count} rows`,
      operands: [{ shape: [rows, ...rest] }, indices([count], -1, rows), { shape: [count, ...rest] }],
      apply: (x, i, y) => (mode === 'set' ? x.scatterSet(i, y) : x.scatterAdd(i, y)),
      expected: (x, i, y) =>
        updated(x!, i!, y!, ([, ...inner], row) => (row < 0 || row >= rows ? undefined : [row, ...inner]), mode),
    }
  }
}

function putAlongAxis(mode: 'set' | 'add'): Property {
  return (choices) => {
    const [rows, columns] = [anyExtent(choices, 17), anyExtent(choices, 17)]
    const count = choices.pick([1, 0, 2, 5])
    return {
      name: `[${rows},${columns}] at ${count} columns`,
      operands: [{ shape: [rows, columns] }, indices([rows, count], -1, columns), { shape: [rows, count] }],
      apply: (x, i, y) => indexing.putAlongAxis(x, i, y, 1, mode),
      expected: (x, i, y) =>
        updated(x!, i!, y!, ([row], to) => (to < 0 || to >= columns ? undefined : [row!, to]), mode),
    }
  }
}

function updateAt(mode: 'set' | 'add'): Property {
  return (choices) => {
    const [a, b] = [anyExtent(choices, 7), anyExtent(choices, 7)]
    const rest = anyShape(choices, { most: 1, elements: 9 })
    const count = choices.pick([1, 0, 2, 5])
    const wrap = (i: number, extent: number) => (i < 0 ? i + extent : i)
    return {
      name: `[${[a, b, ...rest]}] at ${count} places`,
      operands: [
        { shape: [a, b, ...rest] },
        indices([count], -a, a),
        indices([count], -b, b),
        { shape: [count, ...rest] },
      ],
      apply: (x, i, j, y) => indexing.updateAt(x, [i, j], y, mode),
      expected: (x, i, j, y) =>
        updated(
          x!,
          i!,
          y!,
          ([k, ...inner], position) => {
            const place = [wrap(position, a), wrap(at(j!, [k!]), b)] as const
            return place[0] >= a || place[1] >= b ? undefined : [...place, ...inner]
          },
          mode,
        ),
    }
  }
}

const window = (shape: Shape, axis: number, length: number, start: number): number =>
  clamp(start, shape[axis]! - length + 1)

export const indexingProperties: Readonly<Record<string, Property>> = {
  gather(choices) {
    const shape = anyShape(choices, { least: 1, most: 3, filled: true, elements: 150 })
    const axis = anyAxis(choices, shape)
    const picked = anyShape(choices, { most: 2, elements: 9 })
    const result = [...shape.slice(0, axis), ...picked, ...shape.slice(axis + 1)]
    return {
      name: `[${shape}] at [${picked}] along ${axis}`,
      operands: [{ shape, specials: true }, indices(picked, -2, shape[axis]! + 1)],
      apply: (x, i) => x.gather(i, axis),
      expected: (x, i) =>
        fill(result, (index) => {
          const position = clamp(at(i!, index.slice(axis, axis + picked.length)), shape[axis]!)
          return at(x!, [...index.slice(0, axis), position, ...index.slice(axis + picked.length)])
        }),
    }
  },
  scatterAdd: scatter('add'),
  scatterSet: scatter('set'),
  takeAlongAxis(choices) {
    const shape = anyShape(choices, { least: 1, most: 3, filled: true, elements: 150 })
    return alongAxisCase(shape, choices.pick([1, 0, 2, 5]), anyAxis(choices, shape))
  },
  putAlongAxis: putAlongAxis('set'),
  'putAlongAxis, add': putAlongAxis('add'),
  indexWith(choices) {
    const shape = anyShape(choices, { least: 2, most: 3, filled: true, elements: 150 })
    const [a, b] = shape as readonly [number, number]
    const [rows, columns] = [anyExtent(choices, 5), anyExtent(choices, 5)]
    const wrap = (i: number, extent: number) => (i < 0 ? i + extent : i)
    return {
      name: `[${shape}] at [${rows},${columns}]`,
      operands: [{ shape, specials: true }, indices([rows, 1], -a, a - 1), indices([columns], -b, b - 1)],
      apply: (x, i, j) => indexing.indexWith(x, [i, j]),
      expected: (x, i, j) =>
        fill([rows, columns, ...shape.slice(2)], ([r, c, ...rest]) =>
          at(x!, [wrap(at(i!, [r!, 0]), a), wrap(at(j!, [c!]), b), ...rest]),
        ),
    }
  },
  updateAt: updateAt('set'),
  'updateAt, add': updateAt('add'),
  sliceAt(choices) {
    const shape = anyShape(choices, { least: 1, most: 3, filled: true, elements: 200 })
    const axis = anyAxis(choices, shape)
    const length = choices.integer(0, shape[axis]!)
    return {
      name: `${length} of [${shape}] along ${axis}`,
      operands: [{ shape, specials: true }, indices([], -1, shape[axis]! + 1)],
      apply: (x, start) => indexing.sliceAt(x, start, length, axis),
      expected: (x, start) => {
        const from = window(shape, axis, length, start!.data[0]!)
        return fill(put(shape, axis, length), (index) => at(x!, put(index, axis, index[axis]! + from)))
      },
    }
  },
  updateSliceAt(choices) {
    const shape = anyShape(choices, { least: 1, most: 3, filled: true, elements: 200 })
    const axis = anyAxis(choices, shape)
    const length = choices.integer(0, shape[axis]!)
    return {
      name: `${length} of [${shape}] along ${axis}`,
      operands: [{ shape }, indices([], -1, shape[axis]! + 1), { shape: put(shape, axis, length) }],
      apply: (x, start, part) => indexing.updateSliceAt(x, start, part, axis),
      expected: (x, start, part) => {
        const from = window(shape, axis, length, start!.data[0]!)
        return fill(shape, (index) => {
          const i = index[axis]! - from
          return i < 0 || i >= length ? at(x!, index) : at(part!, put(index, axis, i))
        })
      },
    }
  },
  maskedFill(choices): OpCase {
    const shape = anyShape(choices)
    return {
      name: `[${shape}]`,
      operands: [
        { shape, specials: true },
        { shape: shape.slice(choices.integer(0, shape.length)), dtype: 'bool' },
      ],
      apply: (x, mask) => indexing.maskedFill(x, mask, 1),
      expected: (x, mask) => fill(shape, (index) => (at(mask!, index) ? 1 : at(x!, index))),
    }
  },
  oneHot(choices) {
    const shape = anyShape(choices, { most: 3, elements: 100 })
    const classes = anyExtent(choices, 9)
    return {
      name: `[${shape}] of ${classes}`,
      operands: [indices(shape, -1, classes)],
      apply: (i) => indexing.oneHot(i, classes),
      expected: (i) => fill([...shape, classes], (index) => Number(at(i!, index.slice(0, -1)) === index.at(-1))),
    }
  },
}
