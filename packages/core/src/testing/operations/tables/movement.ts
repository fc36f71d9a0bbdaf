import type { Shape } from '../../../graph/shape.ts'
import * as movement from '../../../tensor/movement.ts'
import type { Tensor } from '../../../tensor/tensor.ts'
import { at, fill, type HostTensor, reshaped } from '../host.ts'
import { everyFormat, floats, type OpCase, type OpTest } from '../op-test.ts'

/** Ops that only say where elements come from: exact in every format. */

function rearrangement(op: string, ...cases: readonly OpCase[]): OpTest {
  return { op, topic: 'movement', cases, formats: everyFormat, gradient: true, spacings: { relative: 0, absolute: 0 } }
}

/** Each element of the result is the element of `x` at an index. */
function from(
  name: string,
  shape: Shape,
  apply: (x: Tensor) => Tensor,
  result: Shape,
  source: (index: readonly number[]) => readonly number[],
): OpCase {
  return {
    name,
    operands: [{ shape }],
    apply,
    expected: (x) => fill(result, (index) => at(x!, source(index))),
  }
}

const inside = (index: readonly number[], shape: Shape) => index.every((i, axis) => i >= 0 && i < shape[axis]!)

/** The position that position `i` of a padded axis shows. */
function padded(mode: movement.PadMode, i: number, extent: number): number {
  if (mode === 'edge') return Math.min(Math.max(i, 0), extent - 1)
  if (mode === 'circular') return ((i % extent) + extent) % extent
  if (extent === 1) return 0
  const period = mode === 'reflect' ? 2 * extent - 2 : 2 * extent
  const k = ((i % period) + period) % period
  return k < extent ? k : mode === 'reflect' ? period - k : period - 1 - k
}

export function padCase(mode: movement.PadMode, shape: Shape, amounts: readonly (readonly [number, number])[]): OpCase {
  const result = shape.map((extent, axis) => extent + amounts[axis]![0] + amounts[axis]![1])
  return {
    name: `${mode}, [${shape}] by ${amounts.join(' and ')}`,
    operands: [{ shape }],
    apply: (x) => movement.pad(x, amounts, mode, mode === 'constant' ? 1 : 0),
    expected: (x) =>
      fill(result, (index) => {
        const source = index.map((i, axis) => i - amounts[axis]![0])
        if (mode === 'constant') return inside(source, shape) ? at(x!, source) : 1
        return at(
          x!,
          source.map((i, axis) => padded(mode, i, shape[axis]!)),
        )
      }),
  }
}

const modulo = (a: number, b: number) => ((a % b) + b) % b

function join(x: HostTensor, y: HostTensor, axis: number): HostTensor {
  const extent = x.shape[axis]!
  return fill(
    x.shape.map((size, i) => (i === axis ? size + y.shape[axis]! : size)),
    (index) =>
      index[axis]! < extent
        ? at(x, index)
        : at(
            y,
            index.map((position, i) => (i === axis ? position - extent : position)),
          ),
  )
}

export const movementTests: readonly OpTest[] = [
  rearrangement(
    'reshape',
    from(
      '[2, 6] → [3, 4]',
      [2, 6],
      (x) => x.reshape([3, -1]),
      [3, 4],
      ([i, j]) => [Math.floor((4 * i! + j!) / 6), (4 * i! + j!) % 6],
    ),
    from(
      'to a scalar',
      [1, 1],
      (x) => x.reshape([]),
      [],
      () => [0, 0],
    ),
  ),
  rearrangement(
    'flatten',
    from(
      '[2, 3, 4]',
      [2, 3, 4],
      (x) => x.flatten(1),
      [2, 12],
      ([i, j]) => [i!, Math.floor(j! / 4), j! % 4],
    ),
  ),
  rearrangement(
    'transpose',
    from(
      '[3, 5]',
      [3, 5],
      (x) => x.transpose(),
      [5, 3],
      ([i, j]) => [j!, i!],
    ),
    from(
      '[2, 3, 4]',
      [2, 3, 4],
      (x) => x.transpose([2, 0, 1]),
      [4, 2, 3],
      ([i, j, k]) => [j!, k!, i!],
    ),
    from(
      '[0, 3]',
      [0, 3],
      (x) => x.transpose(),
      [3, 0],
      ([i, j]) => [j!, i!],
    ),
  ),
  rearrangement(
    'expand',
    from(
      '[3, 1] → [2, 3, 4]',
      [3, 1],
      (x) => x.expand([2, 3, 4]),
      [2, 3, 4],
      ([, i]) => [i!, 0],
    ),
  ),
  rearrangement(
    'unsqueeze',
    from(
      '[3, 5]',
      [3, 5],
      (x) => x.unsqueeze(-1),
      [3, 5, 1],
      ([i, j]) => [i!, j!],
    ),
  ),
  rearrangement(
    'squeeze',
    from(
      '[3, 1, 5, 1]',
      [3, 1, 5, 1],
      (x) => x.squeeze(1),
      [3, 5, 1],
      ([i, j]) => [i!, 0, j!, 0],
    ),
  ),
  rearrangement(
    'slice',
    from(
      'start and end',
      [7],
      (x) => x.slice(0, 2, 5),
      [3],
      ([i]) => [i! + 2],
    ),
    from(
      'negative',
      [7],
      (x) => x.slice(0, -3),
      [3],
      ([i]) => [i! + 4],
    ),
    from(
      'steps',
      [3, 9],
      (x) => x.slice(1, 1, undefined, 3),
      [3, 3],
      ([i, j]) => [i!, 1 + 3 * j!],
    ),
    from(
      'backwards',
      [7, 2],
      (x) => x.slice(0, -2, 0, -2),
      [3, 2],
      ([i, j]) => [5 - 2 * i!, j!],
    ),
    from(
      'nothing',
      [7],
      (x) => x.slice(0, 5, 2),
      [0],
      ([i]) => [i!],
    ),
    from(
      'beyond the end',
      [7],
      (x) => x.slice(0, 4, 99),
      [3],
      ([i]) => [i! + 4],
    ),
  ),
  rearrangement(
    'select',
    from(
      '[3, 5]',
      [3, 5],
      (x) => x.select(1, -2),
      [3],
      ([i]) => [i!, 3],
    ),
  ),
  rearrangement(
    'flip',
    from(
      'all',
      [3, 5],
      (x) => x.flip(),
      [3, 5],
      ([i, j]) => [2 - i!, 4 - j!],
    ),
    from(
      'one',
      [3, 5],
      (x) => x.flip(1),
      [3, 5],
      ([i, j]) => [i!, 4 - j!],
    ),
  ),
  rearrangement(
    'roll',
    from(
      'one axis',
      [3, 5],
      (x) => movement.roll(x, 2, 1),
      [3, 5],
      ([i, j]) => [i!, modulo(j! - 2, 5)],
    ),
    from(
      'two axes',
      [3, 5],
      (x) => movement.roll(x, [-1, 7], [0, 1]),
      [3, 5],
      ([i, j]) => [modulo(i! + 1, 3), modulo(j! - 7, 5)],
    ),
    from(
      'nothing',
      [0],
      (x) => movement.roll(x, 3, 0),
      [0],
      ([i]) => [i!],
    ),
  ),
  rearrangement(
    'tile',
    from(
      'as many counts',
      [2, 3],
      (x) => movement.tile(x, [3, 2]),
      [6, 6],
      ([i, j]) => [i! % 2, j! % 3],
    ),
    from(
      'more counts',
      [3],
      (x) => movement.tile(x, [2, 2]),
      [2, 6],
      ([, j]) => [j! % 3],
    ),
  ),
  rearrangement(
    'repeat',
    from(
      'a count',
      [2, 3],
      (x) => movement.repeat(x, 2, 1),
      [2, 6],
      ([i, j]) => [i!, Math.floor(j! / 2)],
    ),
    from(
      'counts',
      [3, 2],
      (x) => movement.repeat(x, [2, 0, 1], 0),
      [3, 2],
      ([i, j]) => [[0, 0, 2][i!]!, j!],
    ),
  ),
  rearrangement(
    'pad',
    padCase(
      'constant',
      [2, 3],
      [
        [1, 0],
        [0, 2],
      ],
    ),
    ...(['edge', 'reflect', 'symmetric', 'circular'] as const).flatMap((mode) => [
      padCase(
        mode,
        [4, 3],
        [
          [1, 2],
          [2, 0],
        ],
      ),
      padCase(mode, [3], [[7, 8]]),
      padCase(mode, [1], [[2, 1]]),
    ]),
  ),
  rearrangement(
    'split',
    from(
      'equal parts',
      [2, 6],
      (x) => x.split(3, 1)[1]!,
      [2, 2],
      ([i, j]) => [i!, j! + 2],
    ),
    from(
      'given parts',
      [7],
      (x) => x.split([2, 5])[1]!,
      [5],
      ([i]) => [i! + 2],
    ),
  ),
  rearrangement(
    'chunk',
    from(
      'the last one',
      [7],
      (x) => movement.chunk(x, 3)[2]!,
      [1],
      () => [6],
    ),
  ),
  rearrangement(
    'unstack',
    from(
      '[3, 2]',
      [3, 2],
      (x) => movement.unstack(x, 1)[1]!,
      [3],
      ([i]) => [i!, 1],
    ),
  ),
  rearrangement(
    'moveAxis',
    from(
      '[2, 3, 4]',
      [2, 3, 4],
      (x) => movement.moveAxis(x, 0, -1),
      [3, 4, 2],
      ([i, j, k]) => [k!, i!, j!],
    ),
  ),
  rearrangement(
    'swapAxes',
    from(
      '[2, 3, 4]',
      [2, 3, 4],
      (x) => movement.swapAxes(x, 0, 2),
      [4, 3, 2],
      ([i, j, k]) => [k!, j!, i!],
    ),
  ),
  rearrangement(
    'rotateQuarter',
    from(
      'once',
      [2, 3],
      (x) => movement.rotateQuarter(x),
      [3, 2],
      ([i, j]) => [j!, 2 - i!],
    ),
    from(
      'twice',
      [2, 3],
      (x) => movement.rotateQuarter(x, 2),
      [2, 3],
      ([i, j]) => [1 - i!, 2 - j!],
    ),
    from(
      'back',
      [2, 3],
      (x) => movement.rotateQuarter(x, -1),
      [3, 2],
      ([i, j]) => [1 - j!, i!],
    ),
  ),
  rearrangement(
    'slidingWindows',
    from(
      '[7] by 2',
      [2, 7],
      (x) => movement.slidingWindows(x, 3, 2),
      [2, 3, 3],
      ([i, j, k]) => [i!, 2 * j! + k!],
    ),
  ),
  rearrangement('broadcastTensors', {
    name: '[3, 1] and [4]',
    operands: [{ shape: [3, 1] }, { shape: [4] }],
    apply: (x, y) => movement.concatenate(movement.broadcastTensors(x, y)),
    expected: (x, y) => fill([6, 4], ([i, j]) => (i! < 3 ? at(x!, [i!, 0]) : at(y!, [j!]))),
  }),
  rearrangement('meshGrid', {
    name: '[3] and [2]',
    operands: [{ shape: [3] }, { shape: [2] }],
    apply: (x, y) => movement.concatenate(movement.meshGrid(x, y)),
    expected: (x, y) => fill([6, 2], ([i, j]) => (i! < 3 ? at(x!, [i!]) : at(y!, [j!]))),
  }),
  rearrangement(
    'concatenate',
    ...[0, 1].map(
      (axis): OpCase => ({
        name: `along ${axis}`,
        operands: [{ shape: [2, 2] }, { shape: axis === 0 ? [3, 2] : [2, 3] }],
        apply: (x, y) => movement.concatenate([x, y], axis),
        expected: (x, y) => join(x!, y!, axis),
      }),
    ),
    {
      name: 'with nothing',
      operands: [{ shape: [0, 2] }, { shape: [3, 2] }],
      apply: (x, y) => movement.concatenate([x, y]),
      expected: (_, y) => y!,
    },
  ),
  rearrangement('stack', {
    name: 'along 1',
    operands: [{ shape: [3] }, { shape: [3] }],
    apply: (x, y) => movement.stack([x, y], 1),
    expected: (x, y) => join(reshaped(x!, [3, 1]), reshaped(y!, [3, 1]), 1),
  }),
  {
    op: 'stopGradient',
    topic: 'movement',
    formats: floats,
    gradient: 'none by its meaning',
    cases: [
      from(
        '[3]',
        [3],
        (x) => x.stopGradient(),
        [3],
        ([i]) => [i!],
      ),
    ],
  },
]
