import type { Local } from '../assembler/index.ts'
import { f32x4, v128 } from '../assembler/index.ts'
import type { MathContext, Vector } from './context.ts'
import { keep, multiplyAdd, polynomial, selectLanes } from './context.ts'
import { expm1Parts } from './exponential.ts'

const signBit = 1 << 31

/** |x| held below a bound where the function has reached 1. pmin(a, b) = b < a ? b : a keeps a NaN in its first operand. */
function boundedMagnitude(context: MathContext, x: Local<'v128'>, bound: number): Local<'v128'> {
  return keep(context, f32x4.pmin(f32x4.abs(x), context.float(bound)))
}

/** The hyperbolic tangent, as m / (m + 2) with m = e^(2|x|) − 1. At most 2.5 ulp, never beyond ±1. */
export function tanh(context: MathContext, x: Local<'v128'>): Vector {
  const magnitude = boundedMagnitude(context, x, 10)
  const { small, power } = expm1Parts(context, keep(context, f32x4.add(magnitude, magnitude)), 0)
  const one = context.float(1)
  const scale = keep(context, power)
  const m = keep(context, multiplyAdd(context, scale, small, f32x4.sub(scale, one)))
  const result = f32x4.div(m, f32x4.add(m, context.float(2)))
  return v128.or(result, v128.and(x, context.integer(signBit)))
}

/**
 * The error function: x · p(x²) for |x| < 1, beyond that 1 − q(|x|)⁸, where q is a minimax fit of the eighth root of 1 − erf. At most 4 ulp,
 * never beyond ±1.
 */
export function erf(context: MathContext, x: Local<'v128'>): Vector {
  const magnitude = boundedMagnitude(context, x, 3.93)
  const square = keep(context, f32x4.mul(magnitude, magnitude))
  const near = f32x4.mul(
    x,
    polynomial(
      context,
      square,
      [
        1.12837916573, -0.376126258255, 0.112835851638, -0.0268538126149, 0.00518832907421, -0.000801020677247,
        7.85390799719e-5,
      ],
    ),
  )
  const root = keep(
    context,
    polynomial(
      context,
      magnitude,
      [
        1.00083476833, -0.145060805962, -0.061426008403, -0.0113738359609, 0.0129259874711, -0.00246976020203,
        0.000149852065549,
      ],
    ),
  )
  const fourthRoot = keep(context, f32x4.mul(root, root))
  const squareRoot = keep(context, f32x4.mul(fourthRoot, fourthRoot))
  const one = context.float(1)
  const far = v128.or(f32x4.sub(one, f32x4.mul(squareRoot, squareRoot)), v128.and(x, context.integer(signBit)))
  return selectLanes(context, near, far, f32x4.lt(magnitude, one))
}
