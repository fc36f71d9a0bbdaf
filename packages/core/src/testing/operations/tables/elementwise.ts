import type { Shape } from '../../../graph/shape.ts'
import { roundHalfEven } from '../../../run/reference/elementwise.ts'
import { erf } from '../../../run/reference/erf.ts'
import * as elementwise from '../../../tensor/elementwise.ts'
import { where } from '../../../tensor/indexing.ts'
import type { Tensor } from '../../../tensor/tensor.ts'
import { mapElements } from '../host.ts'
import { awkwardShapes, everyFormat, floats, integers, numbers, type OpCase, type OpTest } from '../op-test.ts'
import { specialNumbers } from '../operand.ts'
import { anyPair, anyShape } from '../shapes.ts'
import { digamma, erfc, erfInverse, logGamma } from './special-functions.ts'

type Unary = (x: Tensor) => Tensor

interface Settings extends Partial<Omit<OpTest, 'op' | 'cases' | 'topic'>> {
  readonly range?: readonly [number, number]
  /** False where specials are not defined alike everywhere. */
  readonly specials?: boolean
}

function one(op: string, apply: Unary, value: (x: number) => number, settings: Settings = {}): OpTest {
  const { range = [-2, 2], specials: hasSpecials = true, gradient = true, formats = floats, ...rest } = settings
  const expected: OpCase['expected'] = (x) => mapElements(value, x!)
  const of = (shape: Shape, specials = false): OpCase => ({
    name: `[${shape}]`,
    operands: [{ shape, range, specials }],
    apply,
    expected,
  })
  const cases = awkwardShapes.map((shape) => of(shape))
  if (hasSpecials && formats.includes('f32')) {
    const operands = [{ shape: [specialNumbers.length], values: specialNumbers }]
    cases.push({ name: 'special numbers', operands, apply, expected, differentiable: false, formats: floats })
  }
  const property: OpTest['property'] = (choices) => of(anyShape(choices), hasSpecials)
  return { op, topic: 'elementwise', cases, gradient, formats, property, ...rest }
}

function two(
  op: string,
  apply: (a: Tensor, b: Tensor) => Tensor,
  value: (a: number, b: number) => number,
  settings: Settings & { readonly right?: readonly [number, number] } = {},
): OpTest {
  const {
    range = [-2, 2],
    right = range,
    specials: hasSpecials = true,
    gradient = true,
    formats = floats,
    ...rest
  } = settings
  const expected: OpCase['expected'] = (a, b) => mapElements(value, a!, b!)
  const shapes: readonly (readonly [Shape, Shape])[] = [
    ...awkwardShapes.map((shape) => [shape, shape] as const),
    [
      [3, 1, 5],
      [2, 1],
    ],
    [[4], []],
    [[0, 3], [1]],
  ]
  const of = ([a, b]: readonly [Shape, Shape], specials = false): OpCase => ({
    name: `[${a}] and [${b}]`,
    operands: [
      { shape: a, range, specials },
      { shape: b, range: right, specials },
    ],
    apply,
    expected,
  })
  const cases = shapes.map((pair) => of(pair))
  if (hasSpecials && formats.includes('f32')) {
    const pairs = specialNumbers.flatMap((a) => specialNumbers.map((b) => [a, b] as const))
    const operands = [0, 1].map((side) => ({ shape: [pairs.length], values: pairs.map((pair) => pair[side]!) }))
    cases.push({ name: 'special numbers', operands, apply, expected, differentiable: false, formats: floats })
  }
  const property: OpTest['property'] = (choices) => of(anyPair(choices), hasSpecials)
  return { op, topic: 'elementwise', cases, gradient, formats, property, ...rest }
}

const steps = 'constant between steps'
const truth = 'true or false'
const bits = 'integers'
const pythonModulo = (a: number, b: number) => {
  const rest = a % b
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest
}

export const elementwiseTests: readonly OpTest[] = [
  one(
    'negate',
    (x) => x.negate(),
    (x) => -x,
    { formats: numbers },
  ),
  one('abs', (x) => x.abs(), Math.abs, { formats: numbers }),
  one('sign', (x) => x.sign(), Math.sign, { formats: numbers, gradient: steps }),
  one('floor', (x) => x.floor(), Math.floor, { formats: numbers, gradient: steps, range: [-9, 9] }),
  one('ceil', (x) => x.ceil(), Math.ceil, { formats: numbers, gradient: steps, range: [-9, 9] }),
  one('round', (x) => x.round(), roundHalfEven, { formats: numbers, gradient: steps, range: [-9, 9] }),
  one('truncate', elementwise.truncate, Math.trunc, { formats: numbers, gradient: steps, range: [-9, 9] }),
  one('fraction', elementwise.fraction, (x) => x - Math.trunc(x), { range: [0.1, 0.9] }),
  one('sqrt', (x) => x.sqrt(), Math.sqrt, { range: [0.1, 9] }),
  one('rsqrt', elementwise.rsqrt, (x) => 1 / Math.sqrt(x), { range: [0.1, 9] }),
  one('cbrt', elementwise.cbrt, Math.cbrt, { range: [0.1, 9], spacings: { relative: 64, absolute: 1 } }),
  one(
    'square',
    (x) => x.square(),
    (x) => x * x,
    { formats: numbers },
  ),
  one(
    'reciprocal',
    (x) => x.reciprocal(),
    (x) => 1 / x,
    { range: [0.2, 4] },
  ),
  one('exp', (x) => x.exp(), Math.exp, { spacings: { relative: 64, absolute: 0.01 } }),
  one('exp2', elementwise.exp2, (x) => 2 ** x, { spacings: { relative: 64, absolute: 0.01 } }),
  one('expm1', (x) => x.expm1(), Math.expm1, { spacings: { relative: 16, absolute: 0.01 } }),
  one('log', (x) => x.log(), Math.log, { range: [0.1, 9] }),
  one('log2', elementwise.log2, Math.log2, { range: [0.1, 9] }),
  one('log10', elementwise.log10, Math.log10, { range: [0.1, 9] }),
  one('log1p', (x) => x.log1p(), Math.log1p, { range: [-0.9, 9], spacings: { relative: 16, absolute: 1 } }),
  one('sin', (x) => x.sin(), Math.sin, { range: [-9, 9], spacings: { relative: 0, absolute: 16 } }),
  one('cos', (x) => x.cos(), Math.cos, { range: [-9, 9], spacings: { relative: 0, absolute: 16 } }),
  one('tan', elementwise.tan, Math.tan, {
    range: [-1.4, 1.4],
    specials: false,
    spacings: { relative: 64, absolute: 16 },
  }),
  one('asin', elementwise.asin, Math.asin, { range: [-0.95, 0.95] }),
  one('acos', elementwise.acos, Math.acos, { range: [-0.95, 0.95] }),
  one('atan', elementwise.atan, Math.atan, { range: [-5, 5] }),
  one('sinh', elementwise.sinh, Math.sinh, { range: [-4, 4], spacings: { relative: 64, absolute: 0.01 } }),
  one('cosh', elementwise.cosh, Math.cosh, { range: [-4, 4], spacings: { relative: 64, absolute: 0.01 } }),
  one('tanh', (x) => x.tanh(), Math.tanh, { spacings: { relative: 16, absolute: 0.01 } }),
  one('asinh', elementwise.asinh, Math.asinh, { range: [-9, 9], spacings: { relative: 16, absolute: 1 } }),
  one('acosh', elementwise.acosh, Math.acosh, { range: [1.1, 9], spacings: { relative: 16, absolute: 1 } }),
  one('atanh', elementwise.atanh, Math.atanh, { range: [-0.95, 0.95], spacings: { relative: 16, absolute: 1 } }),
  one('erf', (x) => x.erf(), erf, { spacings: { relative: 16, absolute: 0.01 } }),
  one('erfc', elementwise.erfc, erfc, { range: [-3, 6], spacings: { relative: 64, absolute: 2 ** -100 } }),
  one('erfInverse', elementwise.erfInverse, erfInverse, {
    range: [-0.95, 0.95],
    specials: false,
    spacings: { relative: 64, absolute: 1 },
  }),
  one('logGamma', elementwise.logGamma, logGamma, { range: [0.1, 9], spacings: { relative: 128, absolute: 128 } }),
  one('digamma', elementwise.digamma, digamma, { range: [0.2, 9], spacings: { relative: 64, absolute: 64 } }),
  one(
    'sigmoid',
    (x) => x.sigmoid(),
    (x) => 1 / (1 + Math.exp(-x)),
    { range: [-6, 6] },
  ),
  one('sinc', elementwise.sinc, (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)), {
    range: [-3, 3],
    specials: false,
    spacings: { relative: 0, absolute: 16 },
  }),
  one('logit', elementwise.logit, (p) => Math.log(p / (1 - p)), {
    range: [0.05, 0.95],
    specials: false,
    spacings: { relative: 16, absolute: 4 },
  }),
  one(
    'isNaN',
    (x) => x.isNaN(),
    (x) => Number(Number.isNaN(x)),
    { formats: numbers, gradient: truth },
  ),
  one(
    'isFinite',
    (x) => x.isFinite(),
    (x) => Number(Number.isFinite(x)),
    { formats: numbers, gradient: truth },
  ),
  one(
    'isInfinite',
    (x) => x.isInfinite(),
    (x) => Number(Math.abs(x) === Number.POSITIVE_INFINITY),
    {
      formats: numbers,
      gradient: truth,
    },
  ),
  one(
    'replaceNonFinite',
    (x) => elementwise.replaceNonFinite(x),
    (x) => (Number.isFinite(x) ? x : 0),
  ),
  one(
    'clip',
    (x) => elementwise.clip(x, -1, 1),
    (x) => Math.min(1, Math.max(-1, x)),
    { formats: [...floats, 'i32', 'i8'] },
  ),
  one(
    'not',
    (x) => x.not(),
    (x) => ~x,
    { formats: integers, gradient: bits, range: [-99, 99] },
  ),
  one('logicalNot', elementwise.logicalNot, (x) => Number(x === 0), { formats: everyFormat, gradient: truth }),

  two(
    'add',
    (a, b) => a.add(b),
    (a, b) => a + b,
    { formats: numbers },
  ),
  two(
    'subtract',
    (a, b) => a.subtract(b),
    (a, b) => a - b,
    { formats: numbers },
  ),
  two(
    'multiply',
    (a, b) => a.multiply(b),
    (a, b) => a * b,
    { formats: numbers, range: [-90, 90] },
  ),
  two(
    'divide',
    (a, b) => a.divide(b),
    (a, b) => a / b,
    { formats: numbers, right: [0.5, 3] },
  ),
  two(
    'divideTruncated',
    (a, b) => a.divideTruncated(b),
    (a, b) => Math.trunc(a / b),
    {
      formats: numbers,
      range: [-90, 90],
      right: [1, 7],
      specials: false,
      gradient: steps,
    },
  ),
  two('floorDivide', elementwise.floorDivide, (a, b) => Math.floor(a / b), {
    formats: ['f32', 'f64', ...integers],
    range: [-90, 90],
    right: [1, 7],
    specials: false,
    gradient: steps,
  }),
  two(
    'remainder',
    (a, b) => a.remainder(b),
    (a, b) => a % b,
    { formats: ['f32', 'f64', ...integers], range: [-90, 90], right: [1, 7], specials: false },
  ),
  two('modulo', elementwise.modulo, pythonModulo, {
    formats: ['f32', 'f64', ...integers],
    range: [-90, 90],
    right: [1, 7],
    specials: false,
  }),
  two(
    'power',
    (a, b) => a.power(b),
    (a, b) => (a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY) ? 1 : a ** b),
    {
      range: [0.2, 3],
      spacings: { relative: 128, absolute: 0.01 },
    },
  ),
  two('minimum', (a, b) => a.minimum(b), Math.min, { formats: numbers }),
  two('maximum', (a, b) => a.maximum(b), Math.max, { formats: numbers }),
  two('atan2', elementwise.atan2, Math.atan2, { range: [-3, 3] }),
  two('hypot', elementwise.hypot, Math.hypot, { range: [0.1, 3] }),
  two('logAddExp', elementwise.logAddExp, logAddExp, { range: [-5, 5] }),
  two('xlogy', elementwise.xlogy, (a, b) => (a === 0 ? 0 : a * Math.log(b)), { range: [0.1, 3], specials: false }),
  two('copySign', elementwise.copySign, (a, b) => (b < 0 || Object.is(b, -0) ? -Math.abs(a) : Math.abs(a))),
  two(
    'isClose',
    (a, b) => elementwise.isClose(a, b),
    (a, b) => Number(a === b || (Number.isFinite(b) && Math.abs(a - b) <= 1e-8 + 1e-5 * Math.abs(b))),
    {
      formats: ['f32', 'f64'],
      gradient: truth,
    },
  ),
  two(
    'lerp',
    (a, b) => elementwise.lerp(a, b, 0.25),
    (a, b) => a + (b - a) * 0.25,
    { specials: false },
  ),
  two(
    'equal',
    (a, b) => a.equal(b),
    (a, b) => Number(a === b),
    { formats: everyFormat, gradient: truth },
  ),
  two(
    'notEqual',
    (a, b) => a.notEqual(b),
    (a, b) => Number(a !== b),
    { formats: everyFormat, gradient: truth },
  ),
  two(
    'less',
    (a, b) => a.less(b),
    (a, b) => Number(a < b),
    { formats: numbers, gradient: truth },
  ),
  two(
    'lessEqual',
    (a, b) => a.lessEqual(b),
    (a, b) => Number(a <= b),
    { formats: numbers, gradient: truth },
  ),
  two(
    'greater',
    (a, b) => a.greater(b),
    (a, b) => Number(a > b),
    { formats: numbers, gradient: truth },
  ),
  two(
    'greaterEqual',
    (a, b) => a.greaterEqual(b),
    (a, b) => Number(a >= b),
    { formats: numbers, gradient: truth },
  ),
  two(
    'and',
    (a, b) => a.and(b),
    (a, b) => a & b,
    { formats: [...integers, 'bool'], gradient: bits, range: [-99, 99] },
  ),
  two(
    'or',
    (a, b) => a.or(b),
    (a, b) => a | b,
    { formats: [...integers, 'bool'], gradient: bits, range: [-99, 99] },
  ),
  two(
    'xor',
    (a, b) => a.xor(b),
    (a, b) => a ^ b,
    { formats: [...integers, 'bool'], gradient: bits, range: [-99, 99] },
  ),
  two(
    'shiftLeft',
    (a, b) => a.shiftLeft(b),
    (a, b) => a << b,
    { formats: integers, gradient: bits, right: [0, 5] },
  ),
  two(
    'shiftRight',
    (a, b) => a.shiftRight(b),
    (a, b) => a >> b,
    { formats: ['i32', 'i8', 'u8'], gradient: bits, range: [-99, 99], right: [0, 5] },
  ),
  two('logicalAnd', elementwise.logicalAnd, (a, b) => Number(a !== 0 && b !== 0), {
    formats: everyFormat,
    gradient: truth,
  }),
  two('logicalOr', elementwise.logicalOr, (a, b) => Number(a !== 0 || b !== 0), {
    formats: everyFormat,
    gradient: truth,
  }),
  two('logicalXor', elementwise.logicalXor, (a, b) => Number((a !== 0) !== (b !== 0)), {
    formats: everyFormat,
    gradient: truth,
  }),
  two(
    'where',
    (a, b) => where(a.greater(b), a, b.square()),
    (a, b) => (a > b ? a : b * b),
  ),
]

function logAddExp(a: number, b: number): number {
  if (a === b) return a + Math.LN2
  return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)))
}
