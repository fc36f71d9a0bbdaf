import { f32x4, v128 } from '../assembler/index.ts'
import { cos, erf, exp, exp2, expm1, log, log1p, pow, sin, tanh } from '../math/index.ts'
import type { LoweredOp } from './body.ts'
import type { FusedCode, Vector } from './code.ts'

const functions: Partial<Record<LoweredOp, typeof exp>> = { exp, expm1, log, log1p, sin, cos, tanh, erf }

/** An elementary function of floats. */
export function transcendental(code: FusedCode, op: LoweredOp, a: Vector): Vector {
  if (op === 'onePlusTanh') {
    const exponential = exp2(code.math, code.keep(f32x4.mul(a, code.float(-2 * Math.LOG2E))))
    return f32x4.div(code.float(2), f32x4.add(exponential, code.float(1)))
  }
  const emit = functions[op]
  if (!emit) throw new Error(`fused: ${op} of f32 has no vector form (in ${code.fn.name})`)
  return emit(code.math, code.keep(a))
}

/** a to the power of b; small powers that are known when code is generated are products or roots. */
export function powerOf(code: FusedCode, a: Vector, b: Vector, known: number | undefined): Vector {
  const x = code.keep(a)
  switch (known) {
    case 2:
      return f32x4.mul(x, x)
    case 3:
      return f32x4.mul(f32x4.mul(x, x), x)
    case 4: {
      const square = code.keep(f32x4.mul(x, x))
      return f32x4.mul(square, square)
    }
    case 0.5:
      return rootOf(code, x)
    case -0.5:
      return f32x4.div(code.float(1), rootOf(code, x))
    case -1:
      return f32x4.div(code.float(1), x)
    default:
      return pow(code.math, x, code.keep(b))
  }
}

/** Unlike the square root, a power of ½ has no negative zero, and that of −∞ is ∞. */
function rootOf(code: FusedCode, x: Vector): Vector {
  const root = f32x4.sqrt(f32x4.add(x, code.float(0)))
  const isLowest = f32x4.eq(x, code.float(Number.NEGATIVE_INFINITY))
  return v128.bitselect(code.float(Number.POSITIVE_INFINITY), root, isLowest)
}
