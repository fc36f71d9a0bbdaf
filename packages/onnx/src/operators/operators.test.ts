import { describe, expect, test } from 'vitest'
import { encodeOnnx, type TestAttribute, type TestTensor } from '../testing/encode.ts'
import { compareOutputs, runHere, runOracle } from '../testing/oracle.ts'
import { supportedOperators } from './index.ts'

interface Case {
  readonly inputs: readonly (TestTensor | undefined)[]
  readonly attributes?: Readonly<Record<string, TestAttribute>>
  readonly opset?: number
  readonly outputs?: number
  /** Inputs, by position, that are constants of the model: shapes, axes and the like. The others are given when it runs. */
  readonly constants?: readonly number[]
  readonly tolerance?: number
}

const size = (shape: readonly number[]) => shape.reduce((product, extent) => product * extent, 1)

/** Numbers that differ, without ties, from −2 to 2 by default. */
function float(shape: readonly number[], seed = 1, scale = 2, offset = 0): TestTensor {
  const data = Array.from({ length: size(shape) }, (_, i) =>
    Math.fround(scale * Math.sin(seed * 5.3 + i * 1.7) + offset),
  )
  return { type: 'float', shape, data }
}
const positive = (shape: readonly number[], seed = 1) => float(shape, seed, 0.9, 1.2)
const inside = (shape: readonly number[], seed = 1) => float(shape, seed, 0.9)
const int64 = (data: readonly number[], shape: readonly number[] = [data.length]): TestTensor => ({
  type: 'int64',
  shape,
  data,
})
const scalar = (value: number): TestTensor => ({ type: 'float', shape: [], data: [value] })
const bool = (shape: readonly number[], seed = 1): TestTensor => ({
  type: 'bool',
  shape,
  data: float(shape, seed).data.length ? Array.from(float(shape, seed).data as number[], (x) => Number(x > 0)) : [],
})
const special: TestTensor = {
  type: 'float',
  shape: [6],
  data: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -1, 2],
}

const x = float([2, 3, 4])
const image = float([2, 4, 6, 5])
const wide = float([3, 1], 2)

const one = (inputs: Case['inputs'], more: Omit<Case, 'inputs'> = {}): Case => ({ inputs, ...more })
const float1 = (value: number) => ({ float: value })

const cases: Record<string, readonly Case[]> = {
  Abs: [one([x])],
  Acos: [one([inside([5])])],
  Acosh: [one([float([5], 1, 1, 2.5)])],
  Add: [one([x, wide.shape.length ? float([3, 1], 2) : x]), one([int64([1, -2]), int64([3, 4])])],
  And: [one([bool([2, 3]), bool([3], 2)])],
  ArgMax: [
    one([x], { attributes: { axis: 1 } }),
    one([float([2, 2], 0, 0)], { attributes: { axis: 1, keepdims: 0, select_last_index: 1 } }),
  ],
  ArgMin: [one([x], { attributes: { axis: -1, keepdims: 0 } })],
  Asin: [one([inside([5])])],
  Asinh: [one([x])],
  Atan: [one([x])],
  Atanh: [one([inside([5])])],
  Attention: [
    one([float([1, 2, 3, 4]), float([1, 2, 3, 4], 2), float([1, 2, 3, 5], 3)], { opset: 23 }),
    one([float([1, 3, 8]), float([1, 3, 8], 2), float([1, 3, 8], 3)], {
      opset: 23,
      attributes: { q_num_heads: 2, kv_num_heads: 2, is_causal: 1 },
    }),
    one([float([1, 2, 3, 4]), float([1, 2, 5, 4], 2), float([1, 2, 5, 5], 3), float([3, 5], 4)], {
      opset: 23,
      attributes: { scale: float1(0.3) },
    }),
  ],
  AveragePool: [
    one([image], { attributes: { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1] } }),
    one([image], { attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], count_include_pad: 1 } }),
    one([float([1, 2, 7])], { attributes: { kernel_shape: [2], auto_pad: 'SAME_UPPER' } }),
  ],
  BatchNormalization: [
    one([image, float([4]), float([4], 2), float([4], 3), positive([4], 4)], { attributes: { epsilon: float1(0.01) } }),
  ],
  Cast: [
    one([x], { attributes: { to: 7 } }),
    one([x], { attributes: { to: 9 } }),
    one([int64([3, -2])], { attributes: { to: 1 } }),
    one([bool([3])], { attributes: { to: 1 } }),
  ],
  CastLike: [one([int64([3, -2]), scalar(1)])],
  Ceil: [one([x])],
  Celu: [one([x], { attributes: { alpha: float1(1.5) } })],
  Clip: [
    one([x, scalar(-0.5), scalar(0.7)], { constants: [1, 2] }),
    one([x, undefined, scalar(0.7)]),
    one([x], { opset: 6, attributes: { min: float1(-1) } }),
  ],
  Concat: [
    one([x, float([2, 1, 4], 2)], { attributes: { axis: 1 } }),
    one([float([2]), float([3])], { attributes: { axis: -1 } }),
  ],
  Constant: [
    one([], { attributes: { value: float([2, 2]) } }),
    one([], { attributes: { value_floats: { floats: [1, 2.5] } } }),
    one([], { attributes: { value_int: 7 } }),
    one([], { attributes: { value_ints: [7, -8] } }),
    one([], { attributes: { value_float: float1(0.5) } }),
  ],
  ConstantOfShape: [
    one([int64([2, 3])], { constants: [0], attributes: { value: { type: 'float', shape: [1], data: [2.5] } } }),
    one([int64([100, 50])], { constants: [0] }),
  ],
  Conv: [
    one([image, float([6, 4, 3, 3], 2), float([6], 3)], { attributes: { pads: [1, 1, 1, 1] } }),
    one([image, float([6, 2, 3, 2], 2)], {
      attributes: { group: 2, strides: [2, 1], dilations: [1, 2], pads: [0, 1, 2, 3] },
    }),
    one([float([1, 2, 9]), float([3, 2, 4], 2)], { attributes: { auto_pad: 'SAME_LOWER', strides: [2] } }),
    one([float([1, 2, 4, 4, 3]), float([3, 2, 2, 2, 2], 2)], { attributes: { auto_pad: 'SAME_UPPER' } }),
    one([image, float([4, 4, 1, 1], 2)], { attributes: { auto_pad: 'VALID' } }),
  ],
  ConvTranspose: [
    one([image, float([4, 3, 3, 3], 2), float([3], 3)], {
      attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 0] },
    }),
    one([image, float([4, 2, 2, 2], 2)], { attributes: { group: 2, strides: [2, 3], output_shape: [12, 15] } }),
    one([float([1, 2, 5]), float([2, 3, 3], 2)], { attributes: { dilations: [2] } }),
  ],
  Cos: [one([x])],
  Cosh: [one([x])],
  CumSum: [
    one([x, int64([1], [])], { constants: [1] }),
    one([x, int64([-1], [])], { constants: [1], attributes: { exclusive: 1, reverse: 1 } }),
  ],
  DepthToSpace: [
    one([float([1, 8, 2, 3])], { attributes: { blocksize: 2 } }),
    one([float([1, 8, 2, 3])], { attributes: { blocksize: 2, mode: 'CRD' } }),
  ],
  Div: [one([x, positive([4], 2)]), one([int64([7, -7, 9]), int64([2, 2, -4])])],
  Dropout: [one([x])],
  Einsum: [
    one([float([2, 3, 4]), float([2, 4, 5], 2)], { attributes: { equation: 'bij,bjk->bik' } }),
    one([float([3, 3])], { attributes: { equation: 'ij->j' } }),
  ],
  Elu: [one([x], { attributes: { alpha: float1(0.7) } })],
  Equal: [one([int64([1, 2, 3]), int64([1, 5, 3])])],
  Erf: [one([x])],
  Exp: [one([x])],
  Expand: [
    one([float([3, 1]), int64([2, 1, 4])], { constants: [1] }),
    one([float([3, 4]), int64([1])], { constants: [1] }),
  ],
  Flatten: [one([image], { attributes: { axis: 2 } }), one([image])],
  Floor: [one([x])],
  Gather: [
    one([x, int64([2, -1, 0, 1], [2, 2])], { attributes: { axis: 1 } }),
    one([x, int64([1], [])]),
    one([int64([5, 6, 7]), int64([-1, 0])], { constants: [0, 1] }),
  ],
  GatherElements: [one([x, int64([0, -1, 1, 0, 1, 1, 0, 0], [2, 1, 4])], { attributes: { axis: 1 } })],
  GRU: [
    one([float([4, 2, 3]), float([1, 15, 3], 2), float([1, 15, 5], 3), float([1, 30], 4)], {
      outputs: 2,
      attributes: { hidden_size: 5 },
    }),
    one(
      [
        float([4, 2, 3]),
        float([2, 15, 3], 2),
        float([2, 15, 5], 3),
        float([2, 30], 4),
        undefined,
        inside([2, 2, 5], 5),
      ],
      {
        outputs: 2,
        attributes: { hidden_size: 5, direction: 'bidirectional', linear_before_reset: 1 },
      },
    ),
  ],
  GatherND: [one([x, int64([0, 1, 1, -1], [2, 2])])],
  Gelu: [one([x], { opset: 20 }), one([x], { opset: 20, attributes: { approximate: 'tanh' } })],
  Gemm: [
    one([float([3, 4]), float([4, 5], 2), float([5], 3)], { attributes: { alpha: float1(0.5), beta: float1(2) } }),
    one([float([4, 3]), float([5, 4], 2)], { attributes: { transA: 1, transB: 1 } }),
  ],
  GlobalAveragePool: [one([image])],
  GlobalMaxPool: [one([image])],
  Greater: [one([x, wide])],
  GreaterOrEqual: [one([int64([1, 2, 3]), int64([1, 5, 2])])],
  GroupNormalization: [one([image, float([4]), float([4], 2)], { opset: 21, attributes: { num_groups: 2 } })],
  HardSigmoid: [one([x]), one([x], { attributes: { alpha: float1(0.4), beta: float1(0.3) } })],
  HardSwish: [one([float([6], 1, 5)])],
  Identity: [one([x])],
  InstanceNormalization: [one([image, float([4]), float([4], 2)])],
  IsInf: [one([special])],
  IsNaN: [one([special])],
  LSTM: [
    one([float([4, 2, 3]), float([1, 20, 3], 2), float([1, 20, 5], 3)], {
      outputs: 3,
      attributes: { hidden_size: 5, direction: 'reverse' },
    }),
    one(
      [
        float([4, 2, 3]),
        float([2, 20, 3], 2),
        float([2, 20, 5], 3),
        float([2, 40], 4),
        undefined,
        inside([2, 2, 5], 5),
        inside([2, 2, 5], 6),
      ],
      {
        outputs: 3,
        attributes: { hidden_size: 5, direction: 'bidirectional' },
      },
    ),
  ],
  LayerNormalization: [
    one([x, float([4]), float([4], 2)]),
    one([x, float([3, 4]), float([3, 4], 2)], { attributes: { axis: 1, epsilon: float1(0.1) } }),
    one([x, float([4])], { attributes: { axis: -1 } }),
  ],
  LeakyRelu: [one([x], { attributes: { alpha: float1(0.2) } })],
  Less: [one([x, wide])],
  LessOrEqual: [one([int64([1, 2, 3]), int64([1, 5, 2])])],
  Log: [one([positive([5])])],
  LogSoftmax: [one([x], { attributes: { axis: 1 } }), one([x], { opset: 11 })],
  LpNormalization: [one([x], { attributes: { axis: 1 } }), one([x], { attributes: { p: 1 } })],
  MatMul: [
    one([float([2, 1, 3, 4]), float([5, 4, 2], 2)]),
    one([float([4]), float([4, 2], 2)]),
    one([float([3, 4]), float([4], 2)]),
  ],
  Max: [one([x, wide, float([4], 3)]), one([x])],
  MaxPool: [
    one([image], { attributes: { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1] } }),
    one([image], { attributes: { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 } }),
    one([float([1, 2, 9])], { attributes: { kernel_shape: [3], dilations: [2] } }),
  ],
  Mean: [one([x, wide])],
  Min: [one([x, wide])],
  Mish: [one([x], { opset: 18 })],
  Mod: [
    one([int64([7, -7, 7, -7]), int64([3, 3, -3, -3])]),
    one([x, float([4], 3, 1, 1.5)], { attributes: { fmod: 1 } }),
  ],
  Mul: [one([x, wide])],
  Neg: [one([x])],
  Not: [one([bool([5])])],
  OneHot: [
    one([int64([0, 2, -1]), int64([3], []), float([2], 2)], { constants: [1] }),
    one([int64([0, 2, 1, 1], [2, 2]), int64([3], []), float([2], 2)], { constants: [1], attributes: { axis: 1 } }),
  ],
  Or: [one([bool([2, 3]), bool([3], 2)])],
  PRelu: [one([x, float([3, 1], 2)])],
  Pad: [
    one([float([3, 4]), int64([1, 0, 2, 3]), scalar(0.5)], { constants: [1, 2] }),
    one([float([3, 4]), int64([1, 2, 0, 1])], { constants: [1], attributes: { mode: 'reflect' } }),
    one([float([3, 4]), int64([1, 2, 0, 1])], { constants: [1], attributes: { mode: 'edge' } }),
    one([float([3, 4]), int64([-1, 2, 0, -1])], { constants: [1] }),
    one([float([3, 4]), int64([1, 2]), undefined, int64([-1])], { opset: 18, constants: [1, 3] }),
    one([float([3, 4])], { opset: 2, attributes: { pads: [1, 0, 0, 2], value: float1(3) } }),
  ],
  Pow: [
    one([positive([2, 3]), float([3], 2)]),
    one([x, scalar(2)], { constants: [1] }),
    one([positive([4]), scalar(0.5)], { constants: [1] }),
  ],
  RMSNormalization: [
    one([x, float([4])], { opset: 23 }),
    one([x, float([3, 4])], { opset: 23, attributes: { axis: 1 } }),
  ],
  RNN: [
    one([float([4, 2, 3]), float([1, 5, 3], 2), float([1, 5, 5], 3), float([1, 10], 4)], {
      outputs: 2,
      attributes: { hidden_size: 5 },
    }),
  ],
  Range: [one([int64([2], []), int64([9], []), int64([3], [])], { constants: [0, 1, 2] })],
  Reciprocal: [one([positive([4])])],
  ReduceL1: [one([x], { attributes: { axes: [1] } })],
  ReduceL2: [one([x], { attributes: { axes: [0, 2], keepdims: 0 } })],
  ReduceLogSum: [one([positive([2, 3])], { attributes: { axes: [1] } })],
  ReduceLogSumExp: [one([x], { attributes: { axes: [-1] } })],
  ReduceMax: [one([x], { attributes: { axes: [1] } }), one([x, int64([0])], { opset: 18, constants: [1] })],
  ReduceMean: [one([x]), one([x, int64([-1])], { opset: 18, constants: [1], attributes: { keepdims: 0 } })],
  ReduceMin: [one([x], { attributes: { axes: [1, 2] } })],
  ReduceProd: [one([x], { attributes: { axes: [2] } })],
  ReduceSum: [one([x, int64([1])], { constants: [1] }), one([x], { attributes: { noop_with_empty_axes: 1 } })],
  ReduceSumSquare: [one([x], { attributes: { axes: [1], keepdims: 0 } })],
  Relu: [one([x])],
  Reshape: [one([x, int64([0, -1])], { constants: [1] }), one([x, int64([4, 3, 2])], { constants: [1] })],
  Resize: [
    one([image, undefined, { type: 'float', shape: [4], data: [1, 1, 2, 2] }], { constants: [2] }),
    one([image, undefined, undefined, int64([2, 4, 9, 7])], { constants: [3], attributes: { mode: 'linear' } }),
    one([image, undefined, undefined, int64([2, 4, 3, 10])], {
      constants: [3],
      attributes: { mode: 'linear', coordinate_transformation_mode: 'align_corners' },
    }),
    one([image, undefined, undefined, int64([2, 4, 9, 3])], {
      constants: [3],
      attributes: { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
    }),
  ],
  Round: [one([{ type: 'float', shape: [6], data: [0.5, 1.5, -0.5, -1.5, 2.4, 2.6] }])],
  ScatterElements: [
    one([x, int64([2, 0, 1, 1, 0, 2, 1, 0], [2, 1, 4]), float([2, 1, 4], 3)], { attributes: { axis: 1 } }),
    one([x, int64([2, 0, 1, 1, 0, 2, 1, 0], [2, 1, 4]), float([2, 1, 4], 3)], {
      opset: 18,
      attributes: { axis: 1, reduction: 'add' },
    }),
  ],
  ScatterND: [one([x, int64([0, 1, 1, 2], [2, 2]), float([2, 4], 3)])],
  Selu: [one([x]), one([x], { attributes: { alpha: float1(2), gamma: float1(1.5) } })],
  Shape: [one([x]), one([x], { opset: 15, attributes: { start: 1, end: -1 } })],
  Sigmoid: [one([x])],
  Sign: [one([x])],
  Sin: [one([x])],
  Sinh: [one([x])],
  Size: [one([x])],
  Slice: [
    one([x, int64([1, -3]), int64([3, 2 ** 53]), int64([1, 2]), int64([1, 2])], { constants: [1, 2, 3, 4] }),
    one([x, int64([-1, 3]), int64([-(2 ** 53), 0]), int64([1, 2]), int64([-1, -2])], { constants: [1, 2, 3, 4] }),
    one([x, int64([5]), int64([9])], { constants: [1, 2] }),
    one([x], { opset: 9, attributes: { starts: [1], ends: [2], axes: [2] } }),
  ],
  Softmax: [one([x]), one([x], { opset: 11, attributes: { axis: 1 } })],
  Softplus: [one([float([5], 1, 30)])],
  Softsign: [one([x])],
  SpaceToDepth: [one([float([1, 2, 4, 6])], { attributes: { blocksize: 2 } })],
  Split: [
    one([x, int64([1, 3])], { constants: [1], outputs: 2, attributes: { axis: 2 } }),
    one([float([7])], { opset: 18, outputs: 3, attributes: { num_outputs: 3 } }),
    one([x], { opset: 11, outputs: 2, attributes: { axis: 2, split: [2, 2] } }),
  ],
  Sqrt: [one([positive([4])])],
  Squeeze: [
    one([float([1, 3, 1]), int64([0])], { constants: [1] }),
    one([float([1, 3, 1])]),
    one([float([1, 3, 1])], { opset: 11, attributes: { axes: [-1] } }),
  ],
  Sub: [one([x, wide])],
  Sum: [one([x, wide, float([4], 3)])],
  Swish: [],
  Tan: [one([inside([5])])],
  Tanh: [one([x])],
  ThresholdedRelu: [one([x], { attributes: { alpha: float1(0.5) } })],
  Tile: [one([x, int64([2, 1, 3])], { constants: [1] })],
  TopK: [
    one([x, int64([2])], { constants: [1], outputs: 2 }),
    one([x, int64([1])], { constants: [1], outputs: 2, attributes: { axis: 1, largest: 0 } }),
  ],
  Transpose: [one([x], { attributes: { perm: [2, 0, 1] } }), one([x])],
  Trilu: [
    one([float([2, 3, 4]), int64([1], [])], { constants: [1] }),
    one([float([4, 3])], { attributes: { upper: 0 } }),
  ],
  Unsqueeze: [one([x, int64([0, -1])], { constants: [1] }), one([x], { opset: 11, attributes: { axes: [1] } })],
  Upsample: [one([image, { type: 'float', shape: [4], data: [1, 1, 2, 3] }], { opset: 9, constants: [1] })],
  Where: [one([bool([2, 3]), float([3], 2), float([2, 1], 3)])],
  Xor: [one([bool([2, 3]), bool([3], 2)])],
}

/** Operators of newer opsets than the oracle's, tested by their definition below, and control flow, tested in the models. */
const elsewhere = ['Swish', 'If']

test('every supported operator has a case', () => {
  const covered = Object.keys(cases).filter((name) => cases[name]!.length > 0)
  expect([...covered, ...elsewhere].sort()).toEqual([...supportedOperators].sort())
})

for (const [op, list] of Object.entries(cases)) {
  describe.runIf(list.length > 0)(op, () => {
    list.forEach(({ inputs, attributes = {}, opset = 17, outputs = 1, constants = [], tolerance = 2e-5 }, number) => {
      test(`gives what onnxruntime gives: case ${number + 1}`, async () => {
        const names = inputs.map((input, i) => (input ? `input${i}` : ''))
        const given = inputs.flatMap((input, i) =>
          input && !constants.includes(i) ? [[`input${i}`, input] as const] : [],
        )
        const fixed = inputs.flatMap((input, i) =>
          input && constants.includes(i) ? [[`input${i}`, input] as const] : [],
        )
        const graph = (weights: typeof given, free: typeof given) =>
          encodeOnnx(
            {
              nodes: [
                { op, inputs: names, outputs: Array.from({ length: outputs }, (_, i) => `output${i}`), attributes },
              ],
              inputs: free.map(([name, { type, shape }]) => ({
                name,
                type,
                shape: shape.map((_, axis) => `${name}_${axis}`),
              })),
              outputs: Array.from({ length: outputs }, (_, i) => `output${i}`),
              weights: Object.fromEntries(weights),
            },
            opset,
          )
        const model = graph(fixed, given)
        const wanted = await runOracle(model, Object.fromEntries(given))
        compareOutputs(await runHere(model, Object.fromEntries(given)), wanted, tolerance)
        // The same with everything known while the graph is recorded.
        if (given.length > 0) compareOutputs(await runHere(graph([...given, ...fixed], []), {}), wanted, tolerance)
      })
    })
  })
}

test('Swish multiplies by the sigmoid of alpha x', async () => {
  const model = encodeOnnx(
    {
      nodes: [{ op: 'Swish', inputs: ['x'], outputs: ['y'], attributes: { alpha: float1(0.5) } }],
      inputs: [{ name: 'x', type: 'float', shape: [3] }],
      outputs: ['y'],
    },
    24,
  )
  const values = [-1, 0.5, 3]
  const { y } = await runHere(model, { x: { type: 'float', shape: [3], data: values } })
  y!.data.forEach((value, i) => {
    expect(value).toBeCloseTo(values[i]! / (1 + Math.exp(-0.5 * values[i]!)), 5)
  })
})
