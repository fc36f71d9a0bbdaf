import { ShapeError, TesseraError } from '../errors.ts'
import type { OpDefinition } from '../plugin/contract.ts'
import { type DType, formatOf, isFloat } from './format.ts'
import { formatSpec, type TensorSpec } from './node.ts'
import type { BinaryName, ComparisonName, PrimitiveName, ReduceName, UnaryName } from './operations.ts'
import { checkShape, formatShape, sameShape, sizeOf } from './shape.ts'

export const unaryNames = [
  'negate',
  'absolute',
  'sign',
  'floor',
  'ceil',
  'round',
  'squareRoot',
  'reciprocal',
  'exp',
  'log',
  'log1p',
  'expm1',
  'sin',
  'cos',
  'tanh',
  'erf',
  'not',
] as const satisfies readonly UnaryName[]
export const binaryNames = [
  'add',
  'subtract',
  'multiply',
  'divide',
  'remainder',
  'power',
  'minimum',
  'maximum',
  'and',
  'or',
  'xor',
  'shiftLeft',
  'shiftRight',
  'equal',
  'notEqual',
  'less',
  'lessEqual',
] as const satisfies readonly BinaryName[]
export const comparisonNames = ['equal', 'notEqual', 'less', 'lessEqual'] as const satisfies readonly ComparisonName[]
export const reduceNames = [
  'reduceSum',
  'reduceProduct',
  'reduceMaximum',
  'reduceMinimum',
] as const satisfies readonly ReduceName[]

/** Which kinds of numbers an elementwise op takes. */
const anyKind = new Set(['float', 'signed', 'unsigned', 'bool'])
const numbers = new Set(['float', 'signed', 'unsigned'])
const floats = new Set(['float'])
const bits = new Set(['signed', 'unsigned', 'bool'])
const integers = new Set(['signed', 'unsigned'])
const operandKinds: Record<UnaryName | BinaryName, ReadonlySet<string>> = {
  negate: numbers,
  absolute: numbers,
  sign: numbers,
  floor: floats,
  ceil: floats,
  round: floats,
  squareRoot: floats,
  reciprocal: floats,
  exp: floats,
  log: floats,
  log1p: floats,
  expm1: floats,
  sin: floats,
  cos: floats,
  tanh: floats,
  erf: floats,
  not: bits,
  add: numbers,
  subtract: numbers,
  multiply: numbers,
  divide: numbers,
  remainder: numbers,
  power: floats,
  minimum: numbers,
  maximum: numbers,
  and: bits,
  or: bits,
  xor: bits,
  shiftLeft: integers,
  shiftRight: integers,
  equal: anyKind,
  notEqual: anyKind,
  less: numbers,
  lessEqual: numbers,
}

function checkKind(op: UnaryName | BinaryName, spec: TensorSpec): void {
  const { kind } = formatOf(spec.dtype)
  if (!operandKinds[op].has(kind)) {
    throw new ShapeError(
      `${op}: takes ${[...operandKinds[op]].join(' or ')} numbers, got ${formatSpec(spec)}. Cast it first, for example .cast('f32').`,
    )
  }
}

function requireCount(op: string, inputs: readonly TensorSpec[], count: number): void {
  if (inputs.length !== count) throw new ShapeError(`${op}: takes ${count} inputs, got ${inputs.length}.`)
}

type Definitions = { [Op in PrimitiveName]: OpDefinition<Op> }

function define<Op extends PrimitiveName>(op: Op, shape: OpDefinition<Op>['shape']): OpDefinition<Op> {
  return { op, shape }
}

function unary<Op extends UnaryName>(op: Op): OpDefinition<Op> {
  return define(op, (inputs) => {
    requireCount(op, inputs, 1)
    checkKind(op, inputs[0]!)
    return [{ shape: inputs[0]!.shape, dtype: inputs[0]!.dtype }]
  })
}

function binary<Op extends BinaryName>(op: Op): OpDefinition<Op> {
  const comparison = (comparisonNames as readonly string[]).includes(op)
  return define(op, (inputs) => {
    requireCount(op, inputs, 2)
    const [a, b] = inputs as [TensorSpec, TensorSpec]
    if (!sameShape(a.shape, b.shape) || a.dtype !== b.dtype) {
      throw new ShapeError(
        `${op}: operands must agree, got ${formatSpec(a)} and ${formatSpec(b)}. Broadcast and cast them first.`,
      )
    }
    checkKind(op, a)
    return [{ shape: a.shape, dtype: comparison ? 'bool' : a.dtype }]
  })
}

function reduce<Op extends ReduceName>(op: Op): OpDefinition<Op> {
  return define(op, (inputs, attributes) => {
    requireCount(op, inputs, 1)
    const { shape, dtype } = inputs[0]!
    const { axes } = attributes as { readonly axes: readonly number[] }
    if (dtype === 'bool')
      throw new ShapeError(`${op}: takes numbers, got ${formatSpec(inputs[0]!)}. Cast it to 'i32' first.`)
    if (
      !axes.every(
        (axis, i) => Number.isInteger(axis) && axis >= 0 && axis < shape.length && (i === 0 || axis > axes[i - 1]!),
      )
    ) {
      throw new ShapeError(`${op}: axes [${axes.join(', ')}] must be increasing axes of ${formatShape(shape)}.`)
    }
    if ((op === 'reduceMaximum' || op === 'reduceMinimum') && axes.some((axis) => shape[axis] === 0)) {
      throw new ShapeError(
        `${op}: axis of extent 0 in ${formatShape(shape)} has no ${op === 'reduceMaximum' ? 'maximum' : 'minimum'}.`,
      )
    }
    return [{ shape: shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent)), dtype }]
  })
}

function requireIndices(op: string, spec: TensorSpec): void {
  if (spec.dtype !== 'i32' && spec.dtype !== 'u32') {
    throw new ShapeError(`${op}: indices must be i32 or u32, got ${formatSpec(spec)}. Cast them with .cast('i32').`)
  }
}

function requireAxis(op: string, axis: number, spec: TensorSpec): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= spec.shape.length) {
    throw new ShapeError(`${op}: axis ${axis} does not exist in ${formatSpec(spec)}.`)
  }
}

function gatherShape(op: string, source: TensorSpec, indices: TensorSpec, axis: number): number[] {
  requireAxis(op, axis, source)
  requireIndices(op, indices)
  return [...source.shape.slice(0, axis), ...indices.shape, ...source.shape.slice(axis + 1)]
}

/** Shape rules of the primitives. */
export const primitives: Definitions = {
  ...(Object.fromEntries(unaryNames.map((op) => [op, unary(op)])) as { [Op in UnaryName]: OpDefinition<Op> }),
  ...(Object.fromEntries(binaryNames.map((op) => [op, binary(op)])) as { [Op in BinaryName]: OpDefinition<Op> }),
  ...(Object.fromEntries(reduceNames.map((op) => [op, reduce(op)])) as { [Op in ReduceName]: OpDefinition<Op> }),

  leaf: define('leaf', (_, { shape, dtype }) => {
    checkShape('tensor', shape)
    formatOf(dtype)
    return [{ shape, dtype }]
  }),
  constant: define('constant', (_, { dtype }) => [{ shape: [], dtype }]),
  iota: define('iota', (_, { length, dtype }) => {
    checkShape('iota', [length])
    return [{ shape: [length], dtype }]
  }),
  where: define('where', (inputs) => {
    requireCount('where', inputs, 3)
    const [condition, a, b] = inputs as [TensorSpec, TensorSpec, TensorSpec]
    if (condition.dtype !== 'bool')
      throw new ShapeError(`where: the condition must be bool, got ${formatSpec(condition)}.`)
    if (!sameShape(a.shape, b.shape) || !sameShape(condition.shape, a.shape) || a.dtype !== b.dtype) {
      throw new ShapeError(
        `where: operands must agree, got ${inputs.map(formatSpec).join(', ')}. Broadcast and cast them first.`,
      )
    }
    return [{ shape: a.shape, dtype: a.dtype }]
  }),
  cast: define('cast', (inputs, { dtype }) => {
    formatOf(dtype)
    return [{ shape: inputs[0]!.shape, dtype }]
  }),
  bitcast: define('bitcast', (inputs, { dtype }) => {
    const from = inputs[0]!
    if (formatOf(from.dtype).bits !== formatOf(dtype).bits) {
      throw new ShapeError(
        `bitcast: ${from.dtype} has ${formatOf(from.dtype).bits} bits, ${dtype} has ${formatOf(dtype).bits}.`,
      )
    }
    return [{ shape: from.shape, dtype }]
  }),
  reshape: define('reshape', (inputs, { shape }) => {
    checkShape('reshape', shape)
    if (sizeOf(shape) !== sizeOf(inputs[0]!.shape)) {
      throw new ShapeError(
        `reshape: ${formatShape(inputs[0]!.shape)} has ${sizeOf(inputs[0]!.shape)} elements, ${formatShape(shape)} has ${sizeOf(shape)}.`,
      )
    }
    return [{ shape, dtype: inputs[0]!.dtype }]
  }),
  permute: define('permute', (inputs, { axes }) => {
    const { shape, dtype } = inputs[0]!
    if (axes.length !== shape.length || new Set(axes).size !== axes.length || axes.some((axis) => !(axis in shape))) {
      throw new ShapeError(`permute: axes [${axes.join(', ')}] must name each axis of ${formatShape(shape)} once.`)
    }
    return [{ shape: axes.map((axis) => shape[axis]!), dtype }]
  }),
  broadcast: define('broadcast', (inputs, { shape }) => {
    const from = inputs[0]!
    checkShape('broadcast', shape)
    if (
      shape.length !== from.shape.length ||
      from.shape.some((extent, axis) => extent !== shape[axis] && extent !== 1)
    ) {
      throw new ShapeError(`broadcast: ${formatShape(from.shape)} does not broadcast to ${formatShape(shape)}.`)
    }
    return [{ shape, dtype: from.dtype }]
  }),
  slice: define('slice', (inputs, { starts, shape, steps }) => {
    const from = inputs[0]!
    const inside = from.shape.every((extent, axis) => {
      const last = starts[axis]! + (shape[axis]! - 1) * steps[axis]!
      return shape[axis] === 0 || (starts[axis]! >= 0 && starts[axis]! < extent && last >= 0 && last < extent)
    })
    if (shape.length !== from.shape.length || !inside || steps.includes(0)) {
      throw new ShapeError(
        `slice: starts [${starts.join(', ')}], steps [${steps.join(', ')}] and extents ${formatShape(shape)} leave ${formatShape(from.shape)}.`,
      )
    }
    return [{ shape, dtype: from.dtype }]
  }),
  pad: define('pad', (inputs, { low, high }) => {
    const from = inputs[0]!
    if (
      [...low, ...high].some((count) => !Number.isInteger(count) || count < 0) ||
      low.length !== from.shape.length ||
      high.length !== low.length
    ) {
      throw new ShapeError(
        `pad: amounts [${low.join(', ')}] and [${high.join(', ')}] must be ≥ 0, one for each axis of ${formatShape(from.shape)}.`,
      )
    }
    return [{ shape: from.shape.map((extent, axis) => extent + low[axis]! + high[axis]!), dtype: from.dtype }]
  }),
  concatenate: define('concatenate', (inputs, { axis }) => {
    const first = inputs[0]
    if (!first) throw new ShapeError('concatenate: takes at least one tensor.')
    requireAxis('concatenate', axis, first)
    for (const input of inputs) {
      const agrees = input.dtype === first.dtype && input.shape.length === first.shape.length
      if (!agrees || input.shape.some((extent, i) => i !== axis && extent !== first.shape[i])) {
        throw new ShapeError(`concatenate: ${formatSpec(input)} does not fit ${formatSpec(first)} along axis ${axis}.`)
      }
    }
    const extent = inputs.reduce((sum, input) => sum + input.shape[axis]!, 0)
    return [{ shape: first.shape.map((size, i) => (i === axis ? extent : size)), dtype: first.dtype }]
  }),
  matmul: define('matmul', (inputs) => {
    requireCount('matmul', inputs, 2)
    const [a, b] = inputs as [TensorSpec, TensorSpec]
    const rank = a.shape.length
    const fits = rank >= 2 && b.shape.length === rank && a.dtype === b.dtype && isFloat(a.dtype)
    if (!fits || !sameShape(a.shape.slice(0, -2), b.shape.slice(0, -2)) || a.shape[rank - 1] !== b.shape[rank - 2]) {
      throw new ShapeError(
        `matmul: ${formatSpec(a)} × ${formatSpec(b)} does not fit: the last axis of the first must equal the last but one of the second.`,
      )
    }
    return [{ shape: [...a.shape.slice(0, -1), b.shape[rank - 1]!], dtype: a.dtype }]
  }),
  gather: define('gather', (inputs, { axis }) => {
    requireCount('gather', inputs, 2)
    return [{ shape: gatherShape('gather', inputs[0]!, inputs[1]!, axis), dtype: inputs[0]!.dtype }]
  }),
  scatter: define('scatter', (inputs, { axis }) => {
    requireCount('scatter', inputs, 3)
    const [base, indices, updates] = inputs as [TensorSpec, TensorSpec, TensorSpec]
    const expected = gatherShape('scatter', base, indices, axis)
    if (!sameShape(updates.shape, expected) || updates.dtype !== base.dtype) {
      throw new ShapeError(
        `scatter: updates must be ${base.dtype}${formatShape(expected)}, got ${formatSpec(updates)}.`,
      )
    }
    return [{ shape: base.shape, dtype: base.dtype }]
  }),
  output: define('output', () => {
    throw new TesseraError('INTERNAL', 'output nodes are made by outputOf, which knows the op that they read.')
  }),
  stopGradient: define('stopGradient', (inputs) => [{ shape: inputs[0]!.shape, dtype: inputs[0]!.dtype }]),
  barrier: define('barrier', (inputs) => [{ shape: inputs[0]!.shape, dtype: inputs[0]!.dtype }]),
}

/** The scheduler's op: never part of a recorded graph. */
export const isPrimitive = (op: string): op is PrimitiveName => op in primitives

/** Format of a sum of two numbers of a format, and so on: the formats that elementwise ops can take as they are. */
export const floatFormat = (dtype: DType): DType => (isFloat(dtype) ? dtype : 'f32')
