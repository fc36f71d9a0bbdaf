import type { Shape } from '../../../graph/shape.ts'
import { erf } from '../../../run/reference/erf.ts'
import * as activations from '../../../tensor/activations.ts'
import type { Tensor } from '../../../tensor/tensor.ts'
import { mapElements, mapRows } from '../host.ts'
import { awkwardShapes, filledShapes, floats, type OpCase, type OpTest } from '../op-test.ts'
import { anyAxis, anyExtent, anyShape } from '../shapes.ts'

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))
const softplus = (x: number) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
const clip = (x: number, low: number, high: number) => Math.min(high, Math.max(low, x))

/** Activations of single elements. */
function pointwise(op: string, apply: (x: Tensor) => Tensor, value: (x: number) => number): OpTest {
  const of = (shape: Shape): OpCase => ({
    name: `[${shape}]`,
    operands: [{ shape, range: [-5, 5] }],
    apply,
    expected: (x) => mapElements(value, x!),
  })
  return {
    op,
    topic: 'activations',
    formats: floats,
    gradient: true,
    spacings: { relative: 32, absolute: 8 },
    cases: awkwardShapes.map(of),
    property: (choices) => of(anyShape(choices)),
  }
}

/** Activations of rows, over the last axis and over another one. */
function ofRows(
  op: string,
  apply: (x: Tensor, axis: number) => Tensor,
  value: (row: readonly number[]) => readonly number[],
): OpTest {
  const of = (shape: Shape, axis: number): OpCase => ({
    name: `[${shape}] over axis ${axis}`,
    operands: [{ shape, range: [-5, 5] }],
    apply: (x) => apply(x, axis),
    expected: (x) => mapRows(x!, axis, value),
  })
  return {
    op,
    topic: 'activations',
    formats: floats,
    gradient: true,
    spacings: { relative: 64, absolute: 16 },
    cases: filledShapes
      .filter((shape) => shape.length > 0)
      .flatMap((shape) => [shape.length - 1, 0].map((axis) => of(shape, axis))),
    property: (choices) => {
      const shape = anyShape(choices, { least: 1 })
      return of(shape, anyAxis(choices, shape))
    },
  }
}

function softmax(row: readonly number[]): number[] {
  const largest = Math.max(...row)
  const exponentials = row.map((x) => Math.exp(x - largest))
  const total = exponentials.reduce((sum, x) => sum + x, 0)
  return exponentials.map((x) => x / total)
}

const half = (gate: (x: number) => number) => (row: readonly number[]) =>
  row.slice(0, row.length / 2).map((x, i) => x * gate(row[row.length / 2 + i]!))

export const activationTests: readonly OpTest[] = [
  pointwise(
    'relu',
    (x) => x.relu(),
    (x) => Math.max(x, 0),
  ),
  pointwise(
    'gelu',
    (x) => x.gelu(),
    (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  ),
  pointwise(
    'gelu, tanh',
    (x) => x.gelu('tanh'),
    (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  ),
  pointwise(
    'gelu, sigmoid',
    (x) => x.gelu('sigmoid'),
    (x) => x * sigmoid(1.702 * x),
  ),
  pointwise('silu', activations.silu, (x) => x * sigmoid(x)),
  pointwise('softplus', (x) => activations.softplus(x), softplus),
  pointwise(
    'softplus, sharp',
    (x) => activations.softplus(x, 2),
    (x) => softplus(2 * x) / 2,
  ),
  pointwise('logSigmoid', activations.logSigmoid, (x) => -softplus(-x)),
  pointwise('mish', activations.mish, (x) => x * Math.tanh(softplus(x))),
  pointwise(
    'leakyRelu',
    (x) => activations.leakyRelu(x),
    (x) => (x > 0 ? x : 0.01 * x),
  ),
  pointwise(
    'elu',
    (x) => activations.elu(x, 0.5),
    (x) => (x > 0 ? x : 0.5 * Math.expm1(x)),
  ),
  pointwise(
    'celu',
    (x) => activations.celu(x, 2),
    (x) => (x > 0 ? x : 2 * Math.expm1(x / 2)),
  ),
  pointwise('selu', activations.selu, (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x))),
  pointwise('relu6', activations.relu6, (x) => clip(x, 0, 6)),
  pointwise('squaredRelu', activations.squaredRelu, (x) => Math.max(x, 0) ** 2),
  pointwise('softsign', activations.softsign, (x) => x / (1 + Math.abs(x))),
  pointwise(
    'hardTanh',
    (x) => activations.hardTanh(x),
    (x) => clip(x, -1, 1),
  ),
  pointwise('hardSigmoid', activations.hardSigmoid, (x) => clip(x / 6 + 0.5, 0, 1)),
  pointwise('hardSwish', activations.hardSwish, (x) => x * clip(x / 6 + 0.5, 0, 1)),
  pointwise(
    'hardShrink',
    (x) => activations.hardShrink(x),
    (x) => (Math.abs(x) > 0.5 ? x : 0),
  ),
  pointwise(
    'softShrink',
    (x) => activations.softShrink(x),
    (x) => x - clip(x, -0.5, 0.5),
  ),
  pointwise('tanhShrink', activations.tanhShrink, (x) => x - Math.tanh(x)),
  pointwise(
    'threshold',
    (x) => activations.threshold(x, 1, -3),
    (x) => (x > 1 ? x : -3),
  ),
  ofRows('softmax', (x, axis) => x.softmax(axis), softmax),
  ofRows(
    'softmin',
    (x, axis) => activations.softmin(x, axis),
    (row) => softmax(row.map((x) => -x)),
  ),
  ofRows(
    'logSoftmax',
    (x, axis) => x.logSoftmax(axis),
    (row) => softmax(row).map(Math.log),
  ),
  {
    op: 'gatedLinear',
    topic: 'activations',
    formats: floats,
    gradient: true,
    spacings: { relative: 32, absolute: 8 },
    property: (choices) => {
      const shape = [...anyShape(choices, { most: 2, elements: 99, filled: true }), 2 * anyExtent(choices, 9)]
      return {
        name: `[${shape}]`,
        operands: [{ shape }],
        apply: (x) => activations.gatedLinear(x),
        expected: (x) => mapRows(x!, shape.length - 1, half(sigmoid)),
      }
    },
    cases: [
      {
        name: 'sigmoid, last axis',
        operands: [{ shape: [3, 6] }],
        apply: (x) => activations.gatedLinear(x),
        expected: (x) => mapRows(x!, 1, half(sigmoid)),
      },
      {
        name: 'silu, first axis',
        operands: [{ shape: [4, 3] }],
        apply: (x) => activations.gatedLinear(x, 0, activations.silu),
        expected: (x) =>
          mapRows(
            x!,
            0,
            half((gate) => gate * sigmoid(gate)),
          ),
      },
    ],
  },
]
