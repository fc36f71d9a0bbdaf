import {
  add,
  binary,
  broadcastTo,
  cast,
  divide,
  exp,
  full,
  gather,
  linearIndex,
  log,
  matmul,
  multiply,
  negate,
  permute,
  reduce,
  reshape,
  scatter,
  slice,
  square,
  subtract,
  sumTo,
  transposeLast,
  unary,
  where,
  zerosLike,
} from '../graph/build.ts'
import { isFloat } from '../graph/format.ts'
import type { Node } from '../graph/node.ts'
import type { BinaryName, PrimitiveName, ReduceName, UnaryName } from '../graph/operations.ts'
import { unslice } from '../graph/unslice.ts'
import type { VjpContext } from '../plugin/contract.ts'

/** Gradients of the inputs of an op from the gradient of its (only) output. */
type Rule<Op extends PrimitiveName> = (
  gradient: Node,
  context: VjpContext<Op> & { readonly output: Node },
) => readonly (Node | undefined)[]

const none = (): readonly [] => []

/** Rule of a one-argument op from its derivative at `x`, where `y` is the op's value. */
function derivative(of: (x: Node, y: Node) => Node): Rule<UnaryName> {
  return (gradient, { inputs, output }) => [multiply(gradient, of(inputs[0]!, output))]
}

const twoOverSquareRootOfPi = 2 / Math.sqrt(Math.PI)

const unaryRules: { readonly [Op in UnaryName]: Rule<Op> } = {
  negate: (gradient) => [negate(gradient)],
  absolute: derivative((x) => unary('sign', x)),
  sign: none,
  floor: none,
  ceil: none,
  round: none,
  squareRoot: (gradient, { output }) => [divide(multiply(gradient, 0.5), output)],
  reciprocal: derivative((_, y) => negate(square(y))),
  exp: derivative((_, y) => y),
  log: (gradient, { inputs }) => [divide(gradient, inputs[0]!)],
  log1p: (gradient, { inputs }) => [divide(gradient, add(inputs[0]!, 1))],
  expm1: derivative((_, y) => add(y, 1)),
  sin: derivative((x) => unary('cos', x)),
  cos: derivative((x) => negate(unary('sin', x))),
  tanh: derivative((_, y) => subtract(1, square(y))),
  erf: derivative((x) => multiply(exp(negate(square(x))), twoOverSquareRootOfPi)),
  not: none,
}

/** Half of the gradient to each side where two candidates tie, as the mean of the two one-sided derivatives. */
function extremum(op: 'less'): (first: 0 | 1) => Rule<'minimum' | 'maximum'> {
  return (first) =>
    (gradient, { inputs }) => {
      const [a, b] = inputs as [Node, Node]
      const share = (x: Node, y: Node) =>
        where(
          binary(op, x, y),
          first === 0 ? 1 : 0,
          where(binary(op, y, x), first === 0 ? 0 : 1, full([], 0.5, a.dtype)),
        )
      return [multiply(gradient, share(a, b)), multiply(gradient, share(b, a))]
    }
}

const binaryRules: { readonly [Op in BinaryName]: Rule<Op> } = {
  add: (gradient) => [gradient, gradient],
  subtract: (gradient, { needs }) => [gradient, needs[1] ? negate(gradient) : undefined],
  multiply: (gradient, { inputs, needs }) => [
    needs[0] ? multiply(gradient, inputs[1]!) : undefined,
    needs[1] ? multiply(gradient, inputs[0]!) : undefined,
  ],
  divide: (gradient, { inputs, output, needs }) => [
    needs[0] ? divide(gradient, inputs[1]!) : undefined,
    needs[1] ? negate(divide(multiply(gradient, output), inputs[1]!)) : undefined,
  ],
  remainder: (gradient, { inputs, needs }) => [
    gradient,
    // a − b · trunc(a / b)
    needs[1]
      ? negate(
          multiply(gradient, divide(subtract(inputs[0]!, binary('remainder', inputs[0]!, inputs[1]!)), inputs[1]!)),
        )
      : undefined,
  ],
  power: (gradient, { inputs, output, needs }) => {
    const [base, exponent] = inputs as [Node, Node]
    return [
      needs[0] ? multiply(gradient, multiply(exponent, binary('power', base, subtract(exponent, 1)))) : undefined,
      // x^y · ln x, and 0 where x = 0: the limit for y > 0.
      needs[1]
        ? multiply(
            gradient,
            where(binary('equal', base, 0), 0, multiply(output, log(where(binary('equal', base, 0), 1, base)))),
          )
        : undefined,
    ]
  },
  minimum: extremum('less')(0),
  maximum: extremum('less')(1),
  and: none,
  or: none,
  xor: none,
  shiftLeft: none,
  shiftRight: none,
  equal: none,
  notEqual: none,
  less: none,
  lessEqual: none,
}

/** The gradient goes to the elements that attain the extremum, in equal shares. */
const extremeElement: Rule<'reduceMaximum' | 'reduceMinimum'> = (gradient, { inputs, output, attributes }) => {
  const x = inputs[0]!
  const attained = cast(binary('equal', x, output), x.dtype)
  return [multiply(attained, divide(gradient, reduce('reduceSum', attained, attributes.axes)))]
}

const reduceRules: { readonly [Op in ReduceName]: Rule<Op> } = {
  reduceSum: (gradient, { inputs }) => [broadcastTo(gradient, inputs[0]!.shape)],
  reduceMaximum: extremeElement,
  reduceMinimum: extremeElement,
  // The product of the others, which is not y / x where an element is 0.
  reduceProduct: (gradient, { inputs, attributes }) => {
    const x = inputs[0]!
    const isZero = binary('equal', x, 0)
    const withoutZeros = where(isZero, 1, x)
    const product = reduce('reduceProduct', withoutZeros, attributes.axes)
    const zeros = reduce('reduceSum', cast(isZero, 'i32'), attributes.axes)
    const others = where(
      binary('equal', zeros, 0),
      divide(product, withoutZeros),
      where(binary('and', isZero, binary('equal', zeros, 1)), product, 0),
    )
    return [multiply(gradient, others)]
  },
}

/** Indices that `scatter` obeys, as a mask over the indices, shaped to broadcast over updates with `axis` replaced by them. */
function overUpdates(mask: Node, updates: Node, axis: number): Node {
  const rank = mask.shape.length
  return reshape(
    mask,
    updates.shape.map((extent, i) => (i >= axis && i < axis + rank ? extent : 1)),
  )
}

function insideRange(indices: Node, length: number): Node {
  const belowEnd = binary('less', indices, length)
  return indices.dtype === 'u32' ? belowEnd : binary('and', belowEnd, binary('lessEqual', 0, indices))
}

/** Gradient rules of the primitives. The type lists every primitive: one without a rule does not compile. */
export const rules: { readonly [Op in PrimitiveName]: Rule<Op> } = {
  ...unaryRules,
  ...binaryRules,
  ...reduceRules,
  leaf: none,
  constant: none,
  iota: none,
  bitcast: none,
  stopGradient: none,
  barrier: (gradient) => [gradient],
  // The driver adds the gradient to the node whose output it is.
  output: none,
  where: (gradient, { inputs, needs }) => [
    undefined,
    needs[1] ? where(inputs[0]!, gradient, 0) : undefined,
    needs[2] ? where(inputs[0]!, 0, gradient) : undefined,
  ],
  cast: (gradient, { inputs }) => [isFloat(inputs[0]!.dtype) ? cast(gradient, inputs[0]!.dtype) : undefined],
  reshape: (gradient, { inputs }) => [reshape(gradient, inputs[0]!.shape)],
  permute: (gradient, { attributes }) => {
    const inverse = new Array<number>(attributes.axes.length)
    attributes.axes.forEach((axis, i) => {
      inverse[axis] = i
    })
    return [permute(gradient, inverse)]
  },
  broadcast: (gradient, { inputs }) => [sumTo(gradient, inputs[0]!.shape)],
  slice: (gradient, { inputs, attributes }) => [
    unslice(gradient, inputs[0]!.shape, attributes.starts, attributes.steps),
  ],
  pad: (gradient, { inputs, attributes }) => [slice(gradient, attributes.low, inputs[0]!.shape)],
  concatenate: (gradient, { inputs, attributes, needs }) => {
    let start = 0
    return inputs.map((input, i) => {
      const starts = input.shape.map((_, axis) => (axis === attributes.axis ? start : 0))
      start += input.shape[attributes.axis]!
      return needs[i] ? slice(gradient, starts, input.shape) : undefined
    })
  },
  matmul: (gradient, { inputs, needs }) => [
    needs[0] ? matmul(gradient, transposeLast(inputs[1]!)) : undefined,
    needs[1] ? matmul(transposeLast(inputs[0]!), gradient) : undefined,
  ],
  gather: (gradient, { inputs, attributes }) => {
    const [source, indices] = inputs as [Node, Node]
    const last = source.shape[attributes.axis]! - 1
    // `gather` clamps, `scatter` ignores.
    const clamped = binary(
      'minimum',
      indices.dtype === 'u32' ? indices : binary('maximum', indices, 0),
      Math.max(last, 0),
    )
    return [scatter(zerosLike(source), clamped, gradient, attributes.axis, 'add'), undefined]
  },
  scatter: (gradient, { inputs, attributes, needs }) => {
    const [base, indices, updates] = inputs as [Node, Node, Node]
    const { axis, mode } = attributes
    const length = base.shape[axis]!
    // Every index is out of range, and there is nothing to gather from.
    if (length === 0) return [gradient, undefined, zerosLike(updates)]
    let counts = insideRange(indices, length)
    if (mode === 'set') {
      // Of several updates of one position only the last one counts.
      const position = linearIndex(indices.shape)
      const winner = gather(scatter(full([length], -1, 'i32'), indices, position, 0, 'set'), indices, 0)
      counts = binary('and', counts, binary('equal', winner, position))
    }
    return [
      mode === 'add' ? gradient : needs[0] ? scatter(gradient, indices, zerosLike(updates), axis, 'set') : undefined,
      undefined,
      needs[2] ? where(overUpdates(counts, updates, axis), gather(gradient, indices, axis), 0) : undefined,
    ]
  },
}
