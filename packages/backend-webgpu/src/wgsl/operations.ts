import type { DType, ElementwiseName, ReduceName } from '@tessera/core'
import { formatOf, TesseraError } from '@tessera/core'
import { eachLane, type Lane, laneOf, literal, packElement, rounded, unpackElement, type Width } from './formats.ts'

/** An elementwise op over registers: names of its arguments, their format, and the format of the result. */
export interface Computation {
  readonly op: ElementwiseName
  readonly from: DType
  readonly dtype: DType
  readonly width: Width
}

/** The WGSL expression of an op. Arguments are names or literals and may be used several times. */
export function computation(value: Computation, args: readonly string[]): string {
  const { op, from, dtype, width } = value
  const [a, b, c] = args as [string, string, string]
  if (op === 'where') return `select(${c}, ${b}, ${a})`
  if (op === 'cast') return castOf(a, from, dtype, width)
  if (op === 'bitcast') return bitcastOf(a, from, dtype, width)
  switch (laneOf(from)) {
    case 'f32':
      return floatOperation(value, a, b)
    case 'bool':
      return booleanOperation(op, from, a, b)
    default:
      return integerOperation(value, a, b)
  }
}

const suffix = (width: Width): string => (width.lanes === 1 ? '' : '4')

function floatOperation({ op, from, width }: Computation, a: string, b: string): string {
  const n = suffix(width)
  const one = literal(1, 'f32', width)
  const [x, y] = [rounded(a, from, width), b === undefined ? '' : rounded(b, from, width)]
  switch (op) {
    case 'negate':
      return `negated${n}(${a})`
    case 'absolute':
      return `abs(${a})`
    case 'sign':
      return `signOf${n}(${a})`
    case 'floor':
    case 'ceil':
    case 'round':
      return `select(${op}(${a}), ${a}, isNan${n}(${a}))`
    case 'squareRoot':
      return `select(sqrt(${a}), ${width.type('f32')}(quietNan()), isNan${n}(${a}) | (${a} < ${literal(0, 'f32', width)}))`
    case 'reciprocal':
      return `(${one} / ${a})`
    case 'exp':
    case 'expm1':
    case 'log':
    case 'log1p':
    case 'tanh':
    case 'erf':
      return `${op}Of${n}(${a})`
    case 'sin':
    case 'cos':
      return eachLane(a, width, 'f32', (lane) => `${op}Of(${lane})`)
    case 'add':
      return `(${a} + ${b})`
    case 'subtract':
      return `(${a} - ${b})`
    case 'multiply':
      return `(${a} * ${b})`
    case 'divide':
      return `(${a} / ${b})`
    case 'minimum':
    case 'maximum':
      return `${op}Of${n}(${a}, ${b})`
    case 'remainder':
    case 'power':
      return inLanes(width, 'f32', [a, b], ([left, right]) => `${op}Of(${left}, ${right})`)
    // Comparisons of NaN are folded as if there were none.
    case 'equal':
      return `((${x} == ${y}) & !isNan${n}(${a}) & !isNan${n}(${b}))`
    case 'notEqual':
      return `((${x} != ${y}) | isNan${n}(${a}) | isNan${n}(${b}))`
    case 'less':
      return `((${x} < ${y}) & !isNan${n}(${a}) & !isNan${n}(${b}))`
    case 'lessEqual':
      return `((${x} <= ${y}) & !isNan${n}(${a}) & !isNan${n}(${b}))`
    default:
      throw unsupported(op, from)
  }
}

function booleanOperation(op: ElementwiseName, from: DType, a: string, b: string): string {
  switch (op) {
    case 'not':
      return `!(${a})`
    case 'and':
      return `(${a} & ${b})`
    case 'or':
      return `(${a} | ${b})`
    case 'xor':
    case 'notEqual':
      return `(${a} != ${b})`
    case 'equal':
      return `(${a} == ${b})`
    default:
      throw unsupported(op, from)
  }
}

function integerOperation({ op, from, width }: Computation, a: string, b: string): string {
  const lane = laneOf(from)!
  const signed = lane === 'i32'
  const n = suffix(width)
  const wrap = (value: string): string => wrapped(value, from, width)
  const zero = literal(0, from, width)
  // Shift counts are taken modulo 32.
  const count = (): string => `(${signed ? `bitcast<${width.type('u32')}>(${b})` : b} & ${literal(31, 'u32', width)})`
  switch (op) {
    case 'negate':
      return wrap(`(${zero} - ${a})`)
    case 'absolute':
      return signed ? wrap(`abs(${a})`) : a
    case 'sign':
      return signed ? `sign(${a})` : `min(${a}, ${literal(1, 'u32', width)})`
    case 'not':
      return wrap(`~(${a})`)
    case 'add':
      return wrap(`(${a} + ${b})`)
    case 'subtract':
      return wrap(`(${a} - ${b})`)
    case 'multiply':
      return wrap(`(${a} * ${b})`)
    case 'divide':
      return wrap(`${signed ? 'quotient' : 'unsignedQuotient'}${n}(${a}, ${b})`)
    case 'remainder':
      return `${signed ? 'rest' : 'unsignedRest'}${n}(${a}, ${b})`
    case 'minimum':
      return `min(${a}, ${b})`
    case 'maximum':
      return `max(${a}, ${b})`
    case 'and':
      return `(${a} & ${b})`
    case 'or':
      return `(${a} | ${b})`
    case 'xor':
      return `(${a} ^ ${b})`
    case 'shiftLeft':
      return wrap(`(${a} << ${count()})`)
    case 'shiftRight':
      return `(${a} >> ${count()})`
    case 'equal':
      return `(${a} == ${b})`
    case 'notEqual':
      return `(${a} != ${b})`
    case 'less':
      return `(${a} < ${b})`
    case 'lessEqual':
      return `(${a} <= ${b})`
    default:
      throw unsupported(op, from)
  }
}

/** Integers of fewer than 32 bits, brought back to their width after an operation. */
function wrapped(value: string, dtype: DType, width: Width): string {
  const shift = literal(dtype === 'i16' ? 16 : 24, 'u32', width)
  if (dtype === 'i8' || dtype === 'i16') return `((${value} << ${shift}) >> ${shift})`
  if (dtype === 'u8') return `(${value} & ${literal(255, 'u32', width)})`
  return value
}

/** Floats are truncated and saturate (NaN gives 0), integers keep their low bits, `bool` asks whether a value differs from 0. */
function castOf(a: string, from: DType, to: DType, width: Width): string {
  if (from === to) return rounded(a, from, width)
  const [source, target] = [laneOf(from)!, laneOf(to)!]
  const n = suffix(width)
  const type = width.type(target)
  if (target === 'bool') {
    if (source !== 'f32') return `(${a} != ${literal(0, from, width)})`
    return `((bitcast<${width.type('u32')}>(${a}) & ${literal(0x7fffffff, 'u32', width)}) != ${literal(0, 'u32', width)})`
  }
  if (target === 'f32') {
    const wide = source === 'f32' ? a : from === 'u32' ? `fromUnsigned${n}(${a})` : `${type}(${a})`
    return roundedOnce(wide, to, width)
  }
  if (source !== 'f32') {
    const value = source === 'bool' ? `${type}(${a})` : source === target ? a : `bitcast<${type}>(${a})`
    return wrapped(value, to, width)
  }
  if (target === 'u32') {
    const value = `toUnsigned${n}(${a})`
    return to === 'u8' ? `min(${value}, ${literal(255, 'u32', width)})` : value
  }
  const value = `toSigned${n}(${a})`
  const limit = to === 'i8' ? 128 : to === 'i16' ? 32768 : undefined
  return limit ? `clamp(${value}, ${literal(-limit, 'i32', width)}, ${literal(limit - 1, 'i32', width)})` : value
}

/** As `rounded`, for any expression. */
const roundedOnce = (value: string, dtype: DType, width: Width): string =>
  dtype === 'f32' ? value : width.lanes === 1 ? rounded(value, dtype, width) : rounded(`(${value})`, dtype, width)

function bitcastOf(a: string, from: DType, to: DType, width: Width): string {
  const [source, target] = [laneOf(from)!, laneOf(to)!]
  if (formatOf(from).bits === 16) {
    return from === to ? a : eachLane(a, width, target, (one) => unpackElement(packElement(one, from), '0u', to))
  }
  return wrapped(source === target ? a : `bitcast<${width.type(target)}>(${a})`, to, width)
}

/** Applies a function of one lane to corresponding lanes of several values. */
function inLanes(
  width: Width,
  lane: Lane,
  values: readonly string[],
  apply: (ones: readonly string[]) => string,
): string {
  if (width.lanes === 1) return apply(values)
  const parts = ['x', 'y', 'z', 'w'].map((part) => apply(values.map((value) => `${value}.${part}`)))
  return `${width.type(lane)}(${parts.join(', ')})`
}

/** How a reduction starts, and how it takes in one more value. */
export interface Reduction {
  readonly identity: string
  combine(total: string, value: string): string
}

export function reduction(op: ReduceName, dtype: DType, width: Width): Reduction {
  const combining = {
    reduceSum: 'add',
    reduceProduct: 'multiply',
    reduceMaximum: 'maximum',
    reduceMinimum: 'minimum',
  } as const
  const { kind, bits } = formatOf(dtype)
  const [lowest, highest] =
    kind === 'float'
      ? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]
      : kind === 'signed'
        ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
        : [0, 2 ** bits - 1]
  const start = { reduceSum: 0, reduceProduct: 1, reduceMaximum: lowest, reduceMinimum: highest }[op]
  return {
    // Registers of 16-bit floats hold f32.
    identity: literal(start, kind === 'float' ? 'f32' : dtype, width),
    combine: (total, value) => computation({ op: combining[op], from: dtype, dtype, width }, [total, value]),
  }
}

function unsupported(op: string, dtype: DType): TesseraError {
  return new TesseraError('UNSUPPORTED', `webgpu: ${op} is not defined for '${dtype}'. Cast the operands first.`)
}
