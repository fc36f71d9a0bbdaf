import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import {
  add,
  binary,
  cast,
  constant,
  divide,
  multiply,
  negate,
  reciprocal,
  square,
  squareRoot,
  subtract,
  unary,
  where,
} from '../build.ts'
import { isFloat } from '../format.ts'
import { formatSpec, type Node } from '../node.ts'
import type { Empty } from '../operations.ts'
import { sameShape } from '../shape.ts'
import { inSingle, polynomial, smoothFunction } from './smooth.ts'

/** Attributes of the ops in this file. */
export interface InverseTrigonometricAttributes {
  arcSine: Empty
  arcCosine: Empty
  arcTangent: Empty
  /** Inputs `y` and `x`, of one shape and format. */
  arcTangentOfQuotient: Empty
}

// atan x = x + x³ · P(x²) / Q(x²) for |x| ≤ 0.66: the rational approximation of Cephes (Moshier 1995), good to float64.
const numerator = [
  -64.85021904942025, -122.88666844901361, -75.00855792314705, -16.157537187333652, -0.8750608600031904,
]
const denominator = [
  194.5506571482614, 485.3903996359137, 432.88106049129027, 165.02700983169885, 24.858464901423062, 1,
]

/** The sign bit as a factor: −1 for negative numbers and −0. */
export function signFactor(x: Node): Node {
  const negative = binary(
    'or',
    binary('less', x, 0),
    binary('and', binary('equal', x, 0), binary('less', reciprocal(x), 0)),
  )
  return where(negative, constant(-1, x.dtype), 1)
}

function arcTangentValue(x: Node): Node {
  const magnitude = unary('absolute', x)
  const isLarge = binary('less', 2.414213562373095, magnitude)
  const isMiddle = binary('and', binary('less', 0.66, magnitude), binary('lessEqual', magnitude, 2.414213562373095))
  const reduced = where(
    isLarge,
    negate(reciprocal(magnitude)),
    where(isMiddle, divide(subtract(magnitude, 1), add(magnitude, 1)), magnitude),
  )
  const z = square(reduced)
  const correction = divide(multiply(z, polynomial(z, numerator)), polynomial(z, denominator))
  const angle = add(multiply(reduced, correction), reduced)
  const base = where(isLarge, Math.PI / 2, where(isMiddle, constant(Math.PI / 4, x.dtype), 0))
  return multiply(add(angle, base), signFactor(x))
}

export const arcTangent: OpDefinition<'arcTangent'> = /* @__PURE__ */ smoothFunction(
  'arcTangent',
  arcTangentValue,
  (x) => reciprocal(add(square(x), 1)),
)

/** √(1 − x²), without cancellation near ±1. */
const cosineOfArcSine = (x: Node): Node => squareRoot(multiply(subtract(1, x), add(x, 1)))

/** Through half of the angle: asin x = 2 · atan(x / (1 + √(1 − x²))). */
export const arcSine: OpDefinition<'arcSine'> = /* @__PURE__ */ smoothFunction(
  'arcSine',
  (x) => multiply(arcTangentValue(divide(x, add(cosineOfArcSine(x), 1))), 2),
  (x) => reciprocal(cosineOfArcSine(x)),
)

/** acos x = 2 · atan √((1 − x) / (1 + x)). */
export const arcCosine: OpDefinition<'arcCosine'> = /* @__PURE__ */ smoothFunction(
  'arcCosine',
  (x) => multiply(arcTangentValue(squareRoot(divide(subtract(1, x), add(x, 1)))), 2),
  (x) => negate(reciprocal(cosineOfArcSine(x))),
)

/** The angle of the point (x, y), in (−π, π], with C's `atan2` conventions for zeros and infinities. */
export const arcTangentOfQuotient: OpDefinition<'arcTangentOfQuotient'> = {
  op: 'arcTangentOfQuotient',
  shape: ([y, x]) => {
    if (!y || !x || !isFloat(y.dtype) || y.dtype !== x.dtype || !sameShape(y.shape, x.shape)) {
      throw new ShapeError(
        `atan2: takes two floats of one shape and format, got ${[y, x].map((spec) => (spec ? formatSpec(spec) : 'nothing')).join(' and ')}.`,
      )
    }
    return [{ shape: y.shape, dtype: y.dtype }]
  },
  lower: (inputs) => {
    const [y, x] = inputs.map(inSingle) as [Node, Node]
    const [height, width] = [unary('absolute', y), unary('absolute', x)]
    const both = (test: (side: Node) => Node) => binary('and', test(height), test(width))
    const quotient = where(
      both((side) => binary('equal', side, 0)),
      0,
      where(
        both((side) => binary('equal', side, Number.POSITIVE_INFINITY)),
        1,
        divide(height, width),
      ),
    )
    const acute = arcTangentValue(quotient)
    const angle = where(binary('less', signFactor(x), 0), subtract(Math.PI, acute), acute)
    const isNumber = binary('and', binary('equal', y, y), binary('equal', x, x))
    return [cast(where(isNumber, multiply(angle, signFactor(y)), Number.NaN), inputs[0]!.dtype)]
  },
  vjp: ({ inputs: [y, x], cotangents: [gradient] }) => {
    const scaled = divide(gradient!, add(square(x!), square(y!)))
    return [multiply(scaled, x!), negate(multiply(scaled, y!))]
  },
}
