import {
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atanh,
  celu,
  clip,
  cosh,
  elu,
  full,
  hardSwish,
  leakyRelu,
  mish,
  modulo,
  selu,
  sinh,
  softplus,
  softsign,
  type Tensor,
  tan,
  where,
} from '@tessera/core'
import { elementType } from '../format/elements.ts'
import type { Call, Operator } from '../graph/call.ts'
import { foldElements } from '../graph/fold.ts'

const isInteger = ({ dtype }: Tensor) => dtype.startsWith('i') || dtype.startsWith('u')

const unary =
  (apply: (x: Tensor) => Tensor): Operator =>
  (call) =>
    apply(call.tensor(0))

/** An op of numbers that may be known, as those of shapes are, or tensors. */
const foldable =
  (fold: (...values: number[]) => number, apply: (...inputs: Tensor[]) => Tensor): Operator =>
  (call) => {
    const constants = call.constants()
    if (constants?.every(({ type }) => type.dtype !== 'f16' && type.dtype !== 'bf16'))
      return foldElements(constants, fold)
    return apply(...call.inputs.map((_, i) => call.tensor(i)))
  }

/** Folds to bool. */
const comparison =
  (fold: (a: number, b: number) => boolean, apply: (a: Tensor, b: Tensor) => Tensor): Operator =>
  (call) => {
    const constants = call.constants()
    if (constants) return foldElements(constants, (a, b) => Number(fold(a!, b!)), elementType(9, call.name))
    return apply(call.tensor(0), call.tensor(1))
  }

const reduceInputs =
  (fold: (a: number, b: number) => number, apply: (a: Tensor, b: Tensor) => Tensor): Operator =>
  (call) => {
    const constants = call.constants()
    if (constants) return foldElements(constants, (...values) => values.reduce((a, b) => fold(a, b)))
    return call.inputs.map((_, i) => call.tensor(i)).reduce((a, b) => apply(a, b))
  }

/** Operators that work on each element, by their names in ONNX. */
export const elementwise: Readonly<Record<string, Operator>> = {
  Abs: foldable(Math.abs, (x) => x.abs()),
  Acos: unary(acos),
  Acosh: unary(acosh),
  Add: foldable(
    (a, b) => a + b!,
    (a, b) => a.add(b!),
  ),
  And: comparison(
    (a, b) => a !== 0 && b !== 0,
    (a, b) => a.and(b),
  ),
  Asin: unary(asin),
  Asinh: unary(asinh),
  Atan: unary(atan),
  Atanh: unary(atanh),
  Cast: (call) => cast(call, elementType(call.integer('to', 1), call.name).dtype),
  CastLike: (call) => cast(call, call.tensor(1).dtype),
  Ceil: foldable(Math.ceil, (x) => x.ceil()),
  Celu: (call) => celu(call.tensor(0), call.float('alpha', 1)),
  Clip: (call) => {
    const [low, high] =
      call.opset < 11 ? [bound(call, 'min'), bound(call, 'max')] : [call.optionalTensor(1), call.optionalTensor(2)]
    return clip(call.tensor(0), low, high)
  },
  Cos: unary((x) => x.cos()),
  Cosh: unary(cosh),
  Div: (call) => {
    const constants = call.constants()
    if (constants) {
      const isWhole = constants[0]!.type.dtype.startsWith('i') || constants[0]!.type.dtype.startsWith('u')
      return foldElements(constants, (a, b) => (isWhole ? Math.trunc(a! / b!) : a! / b!))
    }
    const a = call.tensor(0)
    return isInteger(a) ? a.divideTruncated(call.tensor(1)) : a.divide(call.tensor(1))
  },
  Dropout: (call) => {
    const isTraining = (call.optionalNumbers(2, 'training_mode')?.[0] ?? 0) !== 0
    if (isTraining && call.optionalNumbers(1, 'ratio')?.[0] !== 0) call.unsupported('dropout in training')
    return [call.tensor(0), full(call.tensor(0).shape, 1, 'bool')]
  },
  Elu: (call) => elu(call.tensor(0), call.float('alpha', 1)),
  Equal: comparison(
    (a, b) => a === b,
    (a, b) => a.equal(b),
  ),
  Erf: unary((x) => x.erf()),
  Exp: unary((x) => x.exp()),
  Floor: foldable(Math.floor, (x) => x.floor()),
  Gelu: (call) => call.tensor(0).gelu(call.text('approximate', 'none') === 'tanh' ? 'tanh' : 'none'),
  Greater: comparison(
    (a, b) => a > b,
    (a, b) => a.greater(b),
  ),
  GreaterOrEqual: comparison(
    (a, b) => a >= b,
    (a, b) => a.greaterEqual(b),
  ),
  HardSigmoid: (call) => clip(call.tensor(0).multiply(call.float('alpha', 0.2)).add(call.float('beta', 0.5)), 0, 1),
  HardSwish: unary(hardSwish),
  Identity: (call) => call.value(0).constant ?? call.tensor(0),
  IsInf: unary((x) => x.abs().equal(Number.POSITIVE_INFINITY)),
  IsNaN: unary((x) => x.notEqual(x)),
  LeakyRelu: (call) => leakyRelu(call.tensor(0), call.float('alpha', 0.01)),
  Less: comparison(
    (a, b) => a < b,
    (a, b) => a.less(b),
  ),
  LessOrEqual: comparison(
    (a, b) => a <= b,
    (a, b) => a.lessEqual(b),
  ),
  Log: unary((x) => x.log()),
  Max: reduceInputs(Math.max, (a, b) => a.maximum(b)),
  Mean: (call) =>
    call.inputs
      .map((_, i) => call.tensor(i))
      .reduce((a, b) => a.add(b))
      .divide(call.inputs.length),
  Min: reduceInputs(Math.min, (a, b) => a.minimum(b)),
  Mish: unary(mish),
  Mod: (call) => {
    const usesRemainder = call.integer('fmod', 0) === 1
    const constants = call.constants()
    if (constants) return foldElements(constants, (a, b) => (usesRemainder ? a! % b! : a! - Math.floor(a! / b!) * b!))
    return usesRemainder ? call.tensor(0).remainder(call.tensor(1)) : modulo(call.tensor(0), call.tensor(1))
  },
  Mul: foldable(
    (a, b) => a * b!,
    (a, b) => a.multiply(b!),
  ),
  Neg: foldable(
    (a) => -a!,
    (x) => x.negate(),
  ),
  Not: foldable(
    (a) => Number(a === 0),
    (x) => x.not(),
  ),
  Or: comparison(
    (a, b) => a !== 0 || b !== 0,
    (a, b) => a.or(b),
  ),
  PRelu: (call) => leakyRelu(call.tensor(0), call.tensor(1)),
  Pow: (call) => {
    const constants = call.constants()
    if (constants) return foldElements(constants, (a, b) => a! ** b!)
    const exponent = call.value(1).constant
    const [x] = [call.tensor(0)]
    const known = exponent?.data.length === 1 ? exponent.data[0] : undefined
    if (known === 2) return x.square()
    if (known === 0.5) return x.sqrt()
    return x.power(call.tensor(1).cast(x.dtype))
  },
  Reciprocal: unary((x) => x.reciprocal()),
  Relu: unary((x) => x.relu()),
  Round: unary((x) => x.round()),
  Selu: (call) => {
    if (!call.hasAttribute('alpha') && !call.hasAttribute('gamma')) return selu(call.tensor(0))
    return elu(call.tensor(0), call.float('alpha', 1.6732632)).multiply(call.float('gamma', 1.0507))
  },
  Sigmoid: unary((x) => x.sigmoid()),
  Sign: unary((x) => x.sign()),
  Sin: unary((x) => x.sin()),
  Sinh: unary(sinh),
  Softplus: unary((x) => softplus(x)),
  Softsign: unary(softsign),
  Sqrt: foldable(Math.sqrt, (x) => x.sqrt()),
  Sub: foldable(
    (a, b) => a - b!,
    (a, b) => a.subtract(b!),
  ),
  Sum: reduceInputs(
    (a, b) => a + b,
    (a, b) => a.add(b),
  ),
  Swish: (call) => {
    const x = call.tensor(0)
    return x.multiply(x.multiply(call.float('alpha', 1)).sigmoid())
  },
  Tan: unary(tan),
  Tanh: unary((x) => x.tanh()),
  ThresholdedRelu: (call) => {
    const x = call.tensor(0)
    return where(x.greater(call.float('alpha', 1)), x, 0)
  },
  Where: (call) => {
    const constants = call.constants()
    if (constants) return foldElements(constants, (condition, a, b) => (condition === 0 ? b! : a!), constants[1]!.type)
    return where(call.tensor(0), call.tensor(1), call.tensor(2))
  },
  Xor: comparison(
    (a, b) => (a !== 0) !== (b !== 0),
    (a, b) => a.xor(b),
  ),
}

function bound(call: Call, name: string): number | undefined {
  return call.hasAttribute(name) ? call.float(name, 0) : undefined
}

function cast(call: Call, dtype: Tensor['dtype']) {
  const { constant } = call.value(0)
  const isWhole = dtype.startsWith('i') || dtype.startsWith('u')
  if (
    constant &&
    (isWhole || dtype === 'f32' || dtype === 'bool') &&
    constant.type.dtype !== 'f16' &&
    constant.type.dtype !== 'bf16'
  ) {
    const code = dtype === 'bool' ? 9 : dtype === 'f32' ? 1 : call.node.opType === 'Cast' ? call.integer('to', 7) : 7
    return foldElements(
      [constant],
      (x) => (dtype === 'bool' ? Number(x !== 0) : isWhole ? Math.trunc(x!) : x!),
      elementType(code, call.name),
    )
  }
  return dtype === 'bool' ? call.tensor(0).notEqual(0) : call.tensor(0).cast(dtype)
}
