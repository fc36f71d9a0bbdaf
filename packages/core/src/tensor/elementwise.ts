import { complementaryErrorFunction, inverseErrorFunction } from '../graph/compounds/error-functions.ts'
import { digamma as digammaOp, logGamma as logGammaOp } from '../graph/compounds/gamma-functions.ts'
import {
  hyperbolicCosine,
  hyperbolicSine,
  inverseHyperbolicCosine,
  inverseHyperbolicSine,
  inverseHyperbolicTangent,
} from '../graph/compounds/hyperbolic.ts'
import { arcCosine, arcSine, arcTangent, arcTangentOfQuotient } from '../graph/compounds/inverse-trigonometric.ts'
import { isFloat } from '../graph/format.ts'
import { createNode, type Node } from '../graph/node.ts'
import type { OpName } from '../graph/operations.ts'
import type { OpDefinition } from '../plugin/contract.ts'
import { full } from './create.ts'
import { where } from './indexing.ts'
import { broadcastTogether, floating } from './operands.ts'
import { Tensor, type TensorLike } from './tensor.ts'

/** Functions of elements. Integers become f32 first, unless said otherwise. */
function apply<Op extends OpName>(definition: OpDefinition<Op>, ...inputs: Tensor[]): Tensor {
  const nodes = inputs.map((x): Node => floating(x).node)
  return new Tensor(createNode(definition, nodes, {} as never))
}

export function tan(x: Tensor): Tensor {
  return x.sin().divide(x.cos())
}
export function asin(x: Tensor): Tensor {
  return apply(arcSine, x)
}
export function acos(x: Tensor): Tensor {
  return apply(arcCosine, x)
}
export function atan(x: Tensor): Tensor {
  return apply(arcTangent, x)
}

/** The angle of the point (x, y) in (−π, π]; zeros and infinities as in C. */
export function atan2(y: TensorLike, x: TensorLike): Tensor {
  return apply(arcTangentOfQuotient, ...broadcastTogether('atan2', y, x))
}
export function sinh(x: Tensor): Tensor {
  return apply(hyperbolicSine, x)
}
export function cosh(x: Tensor): Tensor {
  return apply(hyperbolicCosine, x)
}
export function asinh(x: Tensor): Tensor {
  return apply(inverseHyperbolicSine, x)
}
export function acosh(x: Tensor): Tensor {
  return apply(inverseHyperbolicCosine, x)
}
export function atanh(x: Tensor): Tensor {
  return apply(inverseHyperbolicTangent, x)
}

/** 1 − erf(x), accurate where that is small. */
export function erfc(x: Tensor): Tensor {
  return apply(complementaryErrorFunction, x)
}

/** The inverse of `erf` on [−1, 1]. */
export function erfInverse(x: Tensor): Tensor {
  return apply(inverseErrorFunction, x)
}

/** log |Γ(x)| */
export function logGamma(x: Tensor): Tensor {
  return apply(logGammaOp, x)
}

/** The derivative of `logGamma`. */
export function digamma(x: Tensor): Tensor {
  return apply(digammaOp, x)
}

/** 2ˣ */
export function exp2(x: Tensor): Tensor {
  return full([], 2, floating(x).dtype).power(x)
}
export function log2(x: Tensor): Tensor {
  return x.log().multiply(Math.LOG2E)
}
export function log10(x: Tensor): Tensor {
  return x.log().multiply(Math.LOG10E)
}

/** 1 / √x */
export function rsqrt(x: Tensor): Tensor {
  return x.sqrt().reciprocal()
}

/** The cube root, of negative numbers too. */
export function cbrt(x: Tensor): Tensor {
  const value = floating(x)
  return value
    .abs()
    .power(1 / 3)
    .multiply(value.sign())
}

/** √(a² + b²) without overflow on the way. */
export function hypot(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = broadcastTogether('hypot', a, b).map((side) => floating(side).abs()) as [Tensor, Tensor]
  const larger = x.maximum(y)
  // The scale only guards against overflow, so it carries no gradient.
  const isPlain = larger.greater(0).and(larger.isFinite())
  const scale = where(isPlain, larger, 1).stopGradient()
  const length = x.divide(scale).square().add(y.divide(scale).square()).sqrt().multiply(scale)
  return where(x.isInfinite().or(y.isInfinite()), Number.POSITIVE_INFINITY, length)
}

/** log(eᵃ + eᵇ) without overflow. */
export function logAddExp(a: TensorLike, b: TensorLike): Tensor {
  const [x, y] = broadcastTogether('logAddExp', a, b).map(floating) as [Tensor, Tensor]
  const larger = x.maximum(y)
  // Equal infinities have no difference.
  const distance = where(x.equal(y), 0, x.subtract(y).abs())
  return larger.add(distance.negate().exp().log1p())
}

/** x · log y, and 0 where x is 0. */
export function xlogy(x: TensorLike, y: TensorLike): Tensor {
  const [factor, argument] = broadcastTogether('xlogy', x, y).map(floating) as [Tensor, Tensor]
  const isZero = factor.equal(0)
  return where(isZero, 0, factor.multiply(where(isZero, 1, argument).log()))
}

/** Held between `low` and `high`; either may be left out (`undefined`). */
export function clip(x: Tensor, low?: TensorLike, high?: TensorLike): Tensor {
  const raised = low === undefined ? x : x.maximum(low)
  return high === undefined ? raised : raised.minimum(high)
}

/** `start + weight · (end − start)` */
export function lerp(start: Tensor, end: TensorLike, weight: TensorLike): Tensor {
  const difference = typeof end === 'number' ? start.negate().add(end) : end.subtract(start)
  return start.add(difference.multiply(weight))
}

/** sin(πx) / πx, and 1 at 0. */
export function sinc(x: Tensor): Tensor {
  const angle = floating(x).multiply(Math.PI)
  // Near 0 the quotient loses its gradient, so the series takes over: 1 − a²/6 + a⁴/120.
  const isSmall = angle.abs().less(0.02)
  const square = angle.square()
  const series = square
    .multiply(1 / 120)
    .subtract(1 / 6)
    .multiply(square)
    .add(1)
  const safe = where(isSmall, 1, angle)
  return where(isSmall, series, safe.sin().divide(safe))
}

/** log(p / (1 − p)), the inverse of `sigmoid`. */
export function logit(p: Tensor): Tensor {
  const share = floating(p)
  return share.log().subtract(share.negate().log1p())
}

/** The integer part, towards zero. Integers stay as they are. */
export function truncate(x: Tensor): Tensor {
  return isFloat(x.dtype) ? where(x.less(0), x.ceil(), x.floor()) : x
}

/** x − truncate(x), with the sign of x. */
export function fraction(x: Tensor): Tensor {
  return x.subtract(truncate(x))
}

/**
 * The remainder of `floorDivide`, with the sign of the divisor, as Python's `%`. `remainder` has the sign of the dividend. A divisor of 0 gives
 * 0 for integers and NaN for floats.
 */
export function modulo(a: Tensor, b: TensorLike): Tensor {
  const rest = a.remainder(b)
  const divisor = typeof b === 'number' ? full([], b, rest.dtype) : b.cast(rest.dtype)
  const differs = rest.notEqual(0).and(rest.less(0).xor(divisor.less(0)))
  return where(differs, rest.add(divisor), rest)
}

/** Division rounded down, as Python's `//`: −7 by 2 is −4. Integers stay integers; by 0 they give 0. */
export function floorDivide(a: Tensor, b: TensorLike): Tensor {
  const rest = a.remainder(b)
  const divisor = typeof b === 'number' ? full([], b, rest.dtype) : b.cast(rest.dtype)
  if (isFloat(rest.dtype)) {
    const quotient = a.divide(divisor)
    // (a − a mod b) / b is an integer but for rounding; quotients that are not finite stay.
    return where(quotient.isFinite(), a.subtract(modulo(a, divisor)).divide(divisor).round(), quotient)
  }
  const differs = rest.notEqual(0).and(rest.less(0).xor(divisor.less(0)))
  return a.divideTruncated(divisor).subtract(differs.cast(rest.dtype))
}

/** NaN and infinities replaced: by default with 0. */
export function replaceNonFinite(x: Tensor, value: TensorLike = 0): Tensor {
  return where(x.isFinite(), x, value)
}

/** `a` and `b` as truth values: false is 0 and false. */
export function logicalAnd(a: Tensor, b: Tensor): Tensor {
  return a.cast('bool').and(b.cast('bool'))
}
export function logicalOr(a: Tensor, b: Tensor): Tensor {
  return a.cast('bool').or(b.cast('bool'))
}
export function logicalXor(a: Tensor, b: Tensor): Tensor {
  return a.cast('bool').xor(b.cast('bool'))
}
export function logicalNot(x: Tensor): Tensor {
  return x.cast('bool').not()
}

/** The magnitude of `x` with the sign of `sign`, that of a zero included. */
export function copySign(x: Tensor, sign: Tensor): Tensor {
  const negative = sign.less(0).or(sign.equal(0).and(sign.reciprocal().less(0)))
  return where(negative, x.abs().negate(), x.abs())
}

/** True where |a − b| ≤ absolute + relative · |b|. NaN is close to nothing. */
export function isClose(a: Tensor, b: Tensor, relative = 1e-5, absolute = 1e-8): Tensor {
  const near = a.subtract(b).abs().lessEqual(b.abs().multiply(relative).add(absolute))
  return a.equal(b).or(near.and(b.isFinite()))
}
