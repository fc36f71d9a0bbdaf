import { ShapeError } from '../errors.ts'
import type { OpDefinition } from '../plugin/contract.ts'
import {
  add,
  axisIndex,
  binary,
  broadcastTo,
  cast,
  divide,
  exp,
  log,
  matmul,
  maximumOf,
  mean,
  multiply,
  reciprocal,
  reshape,
  square,
  squareRoot,
  stopGradient,
  subtract,
  sum,
  sumTo,
  tanh,
  transposeLast,
  unary,
  where,
} from './build.ts'
import { isFloat } from './format.ts'
import { createNode, formatSpec, type Node, type TensorSpec } from './node.ts'
import type { CompoundAttributes } from './operations.ts'
import { checkShape, sameShape } from './shape.ts'
import { threefryBits } from './threefry.ts'

function requireRow(op: string, spec: TensorSpec | undefined): TensorSpec {
  if (!spec || !isFloat(spec.dtype) || spec.shape.length === 0) {
    throw new ShapeError(`${op}: takes floats with at least one axis, got ${spec ? formatSpec(spec) : 'nothing'}.`)
  }
  return spec
}

const lastAxis = (x: Node): number => x.shape.length - 1
const sumLast = (x: Node): Node => sum(x, lastAxis(x))

/** e^(x − max) of each row. The maximum only guards against overflow, so it carries no gradient. */
function shiftedExp(x: Node): Node {
  return exp(subtract(x, stopGradient(maximumOf(x, lastAxis(x)))))
}

export const softmax: OpDefinition<'softmax'> = {
  op: 'softmax',
  shape: (inputs) => [requireRow('softmax', inputs[0])],
  lower: ([x]) => {
    const exponentials = shiftedExp(x!)
    return [multiply(exponentials, reciprocal(sumLast(exponentials)))]
  },
  vjp: ({ outputs: [y], cotangents: [gradient] }) => [
    multiply(y!, subtract(gradient!, sumLast(multiply(gradient!, y!)))),
  ],
}

export const logSoftmax: OpDefinition<'logSoftmax'> = {
  op: 'logSoftmax',
  shape: (inputs) => [requireRow('logSoftmax', inputs[0])],
  lower: ([x]) => {
    const shifted = subtract(x!, stopGradient(maximumOf(x!, lastAxis(x!))))
    return [subtract(shifted, log(sumLast(exp(shifted))))]
  },
  vjp: ({ outputs: [y], cotangents: [gradient] }) => [subtract(gradient!, multiply(exp(y!), sumLast(gradient!)))],
}

function standardized(x: Node, epsilon: number): { normal: Node; inverseDeviation: Node } {
  const centered = subtract(x, mean(x, lastAxis(x)))
  const inverseDeviation = reciprocal(squareRoot(add(mean(square(centered), lastAxis(x)), epsilon)))
  return { normal: multiply(centered, inverseDeviation), inverseDeviation }
}

/** Ba, Kiros & Hinton 2016, over the last axis; the variance is the population's. */
export const layerNorm: OpDefinition<'layerNorm'> = {
  op: 'layerNorm',
  shape: (inputs, { affine }) => {
    const x = requireRow('layerNorm', inputs[0])
    const expected = affine === 'none' ? 1 : affine === 'gain' ? 2 : 3
    const channels = x.shape.at(-1)!
    if (
      inputs.length !== expected ||
      inputs.slice(1).some(({ shape, dtype }) => !sameShape(shape, [channels]) || dtype !== x.dtype)
    ) {
      throw new ShapeError(
        `layerNorm: gain and bias must be ${x.dtype}[${channels}] like the last axis of ${formatSpec(x)}, got ${inputs.slice(1).map(formatSpec).join(', ')}.`,
      )
    }
    return [x]
  },
  lower: ([x, gain, bias], { epsilon }) => {
    const { normal } = standardized(x!, epsilon)
    const scaled = gain ? multiply(normal, gain) : normal
    return [bias ? add(scaled, bias) : scaled]
  },
  vjp: ({ inputs: [x, gain, bias], attributes: { epsilon }, cotangents: [gradient] }) => {
    const { normal, inverseDeviation } = standardized(x!, epsilon)
    const inner = gain ? multiply(gradient!, gain) : gradient!
    const projection = multiply(normal, mean(multiply(inner, normal), lastAxis(x!)))
    const toInput = multiply(inverseDeviation, subtract(subtract(inner, mean(inner, lastAxis(x!))), projection))
    const result = [toInput]
    if (gain) result.push(sumTo(multiply(gradient!, normal), gain.shape))
    if (bias) result.push(sumTo(gradient!, bias.shape))
    return result
  },
}

const squareRootOfTwoOverPi = Math.sqrt(2 / Math.PI)

/** Hendrycks & Gimpel 2016: x · Φ(x); `tanh` is GPT-2's approximation, `sigmoid` x · σ(1.702 x). */
export const gelu: OpDefinition<'gelu'> = {
  op: 'gelu',
  shape: (inputs) => {
    const x = inputs[0]!
    if (!isFloat(x.dtype)) throw new ShapeError(`gelu: takes floats, got ${formatSpec(x)}.`)
    return [x]
  },
  lower: ([x], { approximation }) => {
    if (approximation === 'sigmoid') return [divide(x!, add(exp(multiply(x!, -1.702)), 1))]
    const inner =
      approximation === 'tanh'
        ? tanh(multiply(x!, add(multiply(square(x!), squareRootOfTwoOverPi * 0.044715), squareRootOfTwoOverPi)))
        : unary('erf', multiply(x!, Math.SQRT1_2))
    return [multiply(multiply(x!, 0.5), add(inner, 1))]
  },
}

export const crossEntropy: OpDefinition<'crossEntropy'> = {
  op: 'crossEntropy',
  shape: ([logits, targets]) => {
    const row = requireRow('crossEntropy', logits)
    const integers = targets && (targets.dtype === 'i32' || targets.dtype === 'u32')
    if (!integers || !sameShape(targets.shape, row.shape.slice(0, -1))) {
      throw new ShapeError(
        `crossEntropy: targets must be integers of shape [${row.shape.slice(0, -1).join(', ')}] beside logits ${formatSpec(row)}, got ` +
          `${targets ? formatSpec(targets) : 'nothing'}.`,
      )
    }
    return [{ shape: targets.shape, dtype: row.dtype }]
  },
  lower: ([logits, targets]) => {
    const { shifted, total, isTarget, inRange } = crossEntropyParts(logits!, targets!)
    const picked = sumLast(where(isTarget, shifted, 0))
    return [reshape(where(inRange, subtract(log(total), picked), Number.NaN), targets!.shape)]
  },
  vjp: ({ inputs: [logits, targets], cotangents: [gradient] }) => {
    const { exponentials, total, isTarget } = crossEntropyParts(logits!, targets!)
    const probabilities = multiply(exponentials, reciprocal(total))
    const weight = reshape(gradient!, total.shape)
    return [multiply(subtract(probabilities, cast(isTarget, logits!.dtype)), weight), undefined]
  },
}

function crossEntropyParts(logits: Node, targets: Node) {
  const classes = logits.shape.at(-1)!
  const shifted = subtract(logits, stopGradient(maximumOf(logits, lastAxis(logits))))
  const exponentials = exp(shifted)
  const column = reshape(cast(targets, 'i32'), [...targets.shape, 1])
  const isTarget = binary('equal', axisIndex(logits.shape, lastAxis(logits)), column)
  const inRange = binary('and', binary('lessEqual', 0, column), binary('less', column, classes))
  return { shifted, exponentials, total: sumLast(exponentials), isTarget, inRange }
}

/** Softmax(query · keyᵀ · scale, masked) · value: Vaswani et al. 2017, section 3.2.1. */
export const attention: OpDefinition<'attention'> = {
  op: 'attention',
  shape: (inputs, { offset }) => {
    const [query, key, value, position] = inputs
    const fits =
      inputs.length === (offset ? 4 : 3) &&
      query &&
      key &&
      value &&
      query.shape.length >= 2 &&
      key.shape.length === query.shape.length &&
      value.shape.length === query.shape.length &&
      sameShape(query.shape.slice(0, -2), key.shape.slice(0, -2)) &&
      sameShape(key.shape.slice(0, -1), value.shape.slice(0, -1)) &&
      query.shape.at(-1) === key.shape.at(-1) &&
      query.dtype === key.dtype &&
      key.dtype === value.dtype &&
      isFloat(query.dtype) &&
      (!position || (position.dtype === 'i32' && position.shape.length === 0))
    if (!fits) {
      throw new ShapeError(
        `attention: takes query [..., Tq, D], key [..., Tk, D], value [..., Tk, E]${offset ? ' and an i32 scalar offset' : ''}, got ` +
          `${inputs.map(formatSpec).join(', ')}.`,
      )
    }
    return [{ shape: [...query.shape.slice(0, -1), value.shape.at(-1)!], dtype: query.dtype }]
  },
  lower: ([query, key, value, position], { causal, scale }) => {
    const scores = multiply(matmul(query!, transposeLast(key!)), scale)
    const weights = createNode(softmax, [causal ? maskFuture(scores, position) : scores], {})
    return [matmul(weights, value!)]
  },
}

/** −∞ where key `j` lies after query `i`. */
function maskFuture(scores: Node, position: Node | undefined): Node {
  const queries = scores.shape.at(-2)!
  const keys = scores.shape.at(-1)!
  const row = add(axisIndex([queries, keys], 0), position ?? keys - queries)
  const visible = binary('lessEqual', axisIndex([queries, keys], 1), row)
  return where(broadcastTo(visible, scores.shape), scores, Number.NEGATIVE_INFINITY)
}

export const randomBits: OpDefinition<'randomBits'> = {
  op: 'randomBits',
  shape: ([key], { shape }) => {
    checkShape('random', shape)
    if (key?.dtype !== 'u32' || !sameShape(key.shape, [2])) {
      throw new ShapeError(
        `random: the key must be u32[2], made by randomKey(seed), got ${key ? formatSpec(key) : 'nothing'}.`,
      )
    }
    return [{ shape, dtype: 'u32' }]
  },
  lower: ([key], { shape }) => [threefryBits(key!, shape)],
  vjp: () => [undefined],
}

/** The compound ops of core. */
export const compounds: { readonly [Op in keyof CompoundAttributes]: OpDefinition<Op> } = {
  softmax,
  logSoftmax,
  layerNorm,
  gelu,
  crossEntropy,
  attention,
  randomBits,
}
