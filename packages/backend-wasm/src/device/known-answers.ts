import type { FusedBody, OpCall, Operand, Shape } from '@tessera/core'

/** A call with operands of known content, and what it must give. */
export interface KnownAnswer {
  readonly name: string
  readonly call: (operands: readonly Operand[]) => OpCall
  /** Of f32, u32, i8, or bf16 as 16 bits. */
  readonly inputs: readonly (Float32Array | Uint32Array | Int8Array | Uint16Array)[]
  readonly shapes: readonly Shape[]
  readonly expected: Float64Array
  readonly tolerance: number
  /** Which output is compared; the only one by default. */
  readonly output?: number
}

/** Small numbers without a pattern. */
const numbers = (count: number, scale: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => (((i * 7919 + 13) % 31) - 15) * scale)

/** A product, a convolution and each kind of generated code. */
export function knownAnswers(): KnownAnswer[] {
  return [
    matmulAnswer(37, 67, 45),
    widenedAnswer(1, 67, 45),
    widenedAnswer(37, 67, 45),
    convolutionAnswer(3, 9, 13, 11),
    epilogueAnswer(37, 67, 45),
    quantizedAnswer(37, 64),
    mapAnswer(203),
    integerAnswer(203),
    softmaxAnswer(5, 203),
    columnAnswer(67, 83),
    attentionAnswer(53, 16),
  ]
}

/** Integers below 2^24 are exact however they are added. */
function matmulAnswer(rows: number, depth: number, columns: number): KnownAnswer {
  const [a, b] = [numbers(rows * depth, 1), numbers(depth * columns, 1)]
  const expected = new Float64Array(rows * columns)
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < depth; k++) {
      for (let j = 0; j < columns; j++) expected[i * columns + j]! += a[i * depth + k]! * b[k * columns + j]!
    }
  }
  return {
    name: 'matmul',
    call: ([x, y, z]) => ({ op: 'matmul', attributes: {}, inputs: [x!, y!], outputs: [z!] }),
    inputs: [a, b],
    shapes: [
      [rows, depth],
      [depth, columns],
      [rows, columns],
    ],
    expected,
    tolerance: 0,
  }
}

/** The same with a right operand of bf16, which small integers are exact in. */
function widenedAnswer(rows: number, depth: number, columns: number): KnownAnswer {
  const { call, inputs, ...rest } = matmulAnswer(rows, depth, columns)
  const bits = new Uint32Array((inputs[1] as Float32Array).buffer)
  return {
    ...rest,
    name: 'widenedMatmul',
    call: (operands) => ({ ...call(operands), op: 'widenedMatmul' }),
    inputs: [inputs[0]!, Uint16Array.from(bits, (word) => word >>> 16)],
  }
}

/** A row times int8 weights with a scale of a half; exact as well. */
function quantizedAnswer(rows: number, columns: number): KnownAnswer {
  const x = numbers(columns, 1)
  const values = Int8Array.from(numbers(rows * columns, 1))
  const scales = new Float32Array(rows).fill(0.5)
  const expected = new Float64Array(rows)
  values.forEach((value, i) => {
    expected[Math.floor(i / columns)]! += 0.5 * value * x[i % columns]!
  })
  return {
    name: 'quantizedMatmul',
    call: ([a, b, s, y]) => ({
      op: 'quantizedMatmul',
      attributes: { bits: 8, block: columns },
      inputs: [a!, b!, s!],
      outputs: [y!],
    }),
    inputs: [x, values, scales],
    shapes: [
      [1, columns],
      [rows, columns],
      [rows, 1],
      [1, rows],
    ],
    expected,
    tolerance: 0,
  }
}

/** 3 × 3 with padding of one; exact as well. */
function convolutionAnswer(channels: number, filters: number, height: number, width: number): KnownAnswer {
  const [x, w] = [numbers(channels * height * width, 1), numbers(filters * channels * 9, 1)]
  const expected = new Float64Array(filters * height * width).map((_, at) => {
    const [row, column] = [Math.floor(at / width) % height, at % width]
    const filter = Math.floor(at / width / height)
    let sum = 0
    for (let i = 0; i < channels * 9; i++) {
      const [c, y, z] = [Math.floor(i / 9), row + (Math.floor(i / 3) % 3) - 1, column + (i % 3) - 1]
      if (y < 0 || y >= height || z < 0 || z >= width) continue
      sum += x[(c * height + y) * width + z]! * w[filter * channels * 9 + i]!
    }
    return sum
  })
  const around = [1, 1] as const
  const attributes = { stride: [1, 1], dilation: [1, 1], padding: [around, around], groups: 1 }
  return {
    name: 'convolution',
    call: ([a, b, c]) => ({ op: 'convolution', attributes, inputs: [a!, b!], outputs: [c!] }),
    inputs: [x, w],
    shapes: [
      [1, channels, height, width],
      [filters, channels, 3, 3],
      [1, filters, height, width],
    ],
    expected,
    tolerance: 0,
  }
}

/** max(x · y + bias, 0) */
function epilogueAnswer(rows: number, depth: number, columns: number): KnownAnswer {
  const { inputs, shapes, expected, tolerance } = matmulAnswer(rows, depth, columns)
  const bias = numbers(columns, 3)
  const instructions: Instructions = [load(0), load(1), compute2('add', 0, 1), constant(0), compute2('maximum', 2, 3)]
  const domain = [rows, columns]
  return {
    name: 'matmul with an epilogue',
    call: ([x, y, b, z]) => {
      const repeated = { ...b!, view: { shape: domain, strides: [0, 1], offset: 0 } }
      const { attributes: body } = fusedCall({ kind: 'map', domain, instructions }, [], z!)
      const epilogue = { result: { shape: domain, dtype: 'f32' as const }, body, firstInput: 2 }
      return { op: 'matmul', attributes: {}, inputs: [x!, y!, repeated], outputs: [z!], epilogue }
    },
    inputs: [...inputs, bias],
    shapes: [shapes[0]!, shapes[1]!, [columns], domain],
    expected: expected.map((value, i) => Math.max(value + bias[i % columns]!, 0)),
    tolerance,
  }
}

type Instructions = FusedBody['instructions']

function fusedCall(
  body: Pick<FusedBody, 'kind' | 'domain' | 'instructions'>,
  inputs: readonly Operand[],
  output: Operand,
): OpCall<'fused'> {
  const { kind, domain, instructions } = body
  const attributes = {
    kind,
    domain,
    instructions,
    rowAxes: kind === 'row' ? 1 : 0,
    reducedStart: 0,
    reducedEnd: kind === 'column' ? 1 : 0,
    stores: [instructions.length - 1],
  }
  const strides = kind === 'column' ? [0, 1] : output.view.strides
  return { op: 'fused', attributes, inputs, outputs: [{ ...output, view: { ...output.view, shape: domain, strides } }] }
}

const load = (input: number, dtype: 'f32' | 'u32' = 'f32') => ({ kind: 'load', input, dtype }) as const
const constant = (value: number, dtype: 'f32' | 'u32' = 'f32') => ({ kind: 'constant', value, dtype }) as const
const compute1 = (op: 'exp' | 'tanh' | 'squareRoot' | 'reciprocal', a: number) =>
  ({ kind: 'compute', op, arguments: [a], dtype: 'f32' }) as const
const compute2 = (
  op: 'add' | 'subtract' | 'multiply' | 'divide' | 'maximum' | 'xor' | 'or' | 'shiftLeft' | 'shiftRight',
  a: number,
  b: number,
  dtype: 'f32' | 'u32' = 'f32',
) => ({ kind: 'compute', op, arguments: [a, b], dtype }) as const
const reduce = (op: 'reduceSum' | 'reduceMaximum', argument: number) =>
  ({ kind: 'reduce', op, argument, dtype: 'f32' }) as const

/** tanh(x) / √(eˣ) + max(x, y) */
function mapAnswer(count: number): KnownAnswer {
  const [x, y] = [numbers(count, 0.125), numbers(count, -0.25)]
  const instructions: Instructions = [
    load(0),
    load(1),
    compute1('tanh', 0),
    compute1('exp', 0),
    compute1('squareRoot', 3),
    compute2('divide', 2, 4),
    compute2('maximum', 0, 1),
    compute2('add', 5, 6),
  ]
  return {
    name: 'elementwise arithmetic',
    call: ([a, b, c]) => fusedCall({ kind: 'map', domain: [count], instructions }, [a!, b!], c!),
    inputs: [x, y],
    shapes: [[count], [count], [count]],
    expected: Float64Array.from(
      x,
      (value, i) => Math.tanh(value) / Math.sqrt(Math.exp(value)) + Math.max(value, y[i]!),
    ),
    tolerance: 1e-5,
  }
}

/** One round of a counter-based random generator: a product, a rotation and an exclusive or. */
function integerAnswer(count: number): KnownAnswer {
  const x = Uint32Array.from({ length: count }, (_, i) => Math.imul(i + 1, 0x9e3779b1))
  const instructions: Instructions = [
    load(0, 'u32'),
    constant(0x85ebca6b, 'u32'),
    compute2('multiply', 0, 1, 'u32'),
    constant(13, 'u32'),
    constant(19, 'u32'),
    compute2('shiftLeft', 2, 3, 'u32'),
    compute2('shiftRight', 2, 4, 'u32'),
    compute2('or', 5, 6, 'u32'),
    compute2('add', 7, 0, 'u32'),
    compute2('xor', 8, 2, 'u32'),
  ]
  const expected = Float64Array.from(x, (value) => {
    const product = Math.imul(value, 0x85ebca6b)
    return ((((product << 13) | (product >>> 19)) + value) ^ product) >>> 0
  })
  const call = ([a, b]: readonly Operand[]) => fusedCall({ kind: 'map', domain: [count], instructions }, [a!], b!)
  return { name: 'integer arithmetic', call, inputs: [x], shapes: [[count], [count]], expected, tolerance: 0 }
}

/** Causal attention of one head whose queries are its values. */
function attentionAnswer(length: number, width: number): KnownAnswer {
  const [query, key] = [numbers(length * width, 0.03125), numbers(length * width, -0.0625)]
  const expected = new Float64Array(length * width)
  for (let i = 0; i < length; i++) {
    const weights = Array.from({ length: i + 1 }, (_, j) => {
      let score = 0
      for (let d = 0; d < width; d++) score += query[i * width + d]! * key[j * width + d]!
      return Math.exp(score)
    })
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    weights.forEach((weight, j) => {
      for (let d = 0; d < width; d++) expected[i * width + d]! += (weight / total) * query[j * width + d]!
    })
  }
  const shape = [length, width]
  return {
    name: 'attention',
    call: ([q, k, output, logarithm]) => ({
      op: 'attention',
      attributes: { causal: true, scale: 1, offset: false },
      inputs: [q!, k!, q!],
      outputs: [output!, logarithm!],
    }),
    inputs: [query, key],
    shapes: [shape, shape, shape, [length]],
    expected,
    tolerance: 1e-5,
  }
}

function softmaxAnswer(rows: number, length: number): KnownAnswer {
  const x = numbers(rows * length, 0.25)
  const domain = [rows, length]
  const instructions: Instructions = [
    load(0),
    reduce('reduceMaximum', 0),
    compute2('subtract', 0, 1),
    compute1('exp', 2),
    reduce('reduceSum', 3),
    compute1('reciprocal', 4),
    compute2('multiply', 3, 5),
  ]
  const expected = new Float64Array(rows * length)
  for (let row = 0; row < rows; row++) {
    const values = Array.from(x.subarray(row * length, (row + 1) * length), Math.exp)
    const total = values.reduce((sum, value) => sum + value, 0)
    values.forEach((value, i) => {
      expected[row * length + i] = value / total
    })
  }
  const call = ([a, b]: readonly Operand[]) => fusedCall({ kind: 'row', domain, instructions }, [a!], b!)
  return { name: 'rows', call, inputs: [x], shapes: [domain, domain], expected, tolerance: 1e-5 }
}

function columnAnswer(rows: number, columns: number): KnownAnswer {
  const x = numbers(rows * columns, 1)
  const expected = new Float64Array(columns)
  x.forEach((value, i) => {
    expected[i % columns]! += value * value
  })
  const instructions: Instructions = [load(0), compute2('multiply', 0, 0), reduce('reduceSum', 1)]
  const call = ([a, b]: readonly Operand[]) =>
    fusedCall({ kind: 'column', domain: [rows, columns], instructions }, [a!], b!)
  return { name: 'columns', call, inputs: [x], shapes: [[rows, columns], [columns]], expected, tolerance: 0 }
}
