import type { Expression, FunctionBuilder, InsertionPoint, Local } from '../assembler/index.ts'
import { f32x4, f64x2, i32x4, v128 } from '../assembler/index.ts'
import type { Variant } from '../variant.ts'
import { usesRelaxedSimd } from '../variant.ts'

export type Vector = Expression<'v128'>

/** What the emitters of this folder need: where locals are declared, the variant, and constants that lie in locals. */
export interface MathContext {
  readonly fn: Pick<FunctionBuilder, 'local'>
  readonly variant: Variant
  /** A local that holds a float in all four lanes. */
  float(value: number): Local<'v128'>
  /** A local that holds a 32-bit integer in all four lanes. */
  integer(bits: number): Local<'v128'>
  /** A local that holds a 64-bit float in both lanes. */
  double(value: number): Local<'v128'>
}

/**
 * Constants of a function as vectors, each set once at an insertion point before the loops that use them: V8 would build a vector
 * constant inside a loop anew for every use.
 *
 * @example
 * const context = new ConstantPool(fn, fn.insertionPoint(), variant)
 * fn.forRange(start, end, 16, (address) => {
 *   const x = fn.local('v128', 'x', v128.load(address))
 *   fn.store('v128', address, exp(context, x))
 * })
 */
export class ConstantPool implements MathContext {
  readonly fn: FunctionBuilder
  readonly variant: Variant
  readonly #point: InsertionPoint
  readonly #constants = new Map<string, Local<'v128'>>()

  constructor(fn: FunctionBuilder, point: InsertionPoint, variant: Variant) {
    this.fn = fn
    this.variant = variant
    this.#point = point
  }

  float(value: number): Local<'v128'> {
    return this.integer(bitsOf(value))
  }

  integer(bits: number): Local<'v128'> {
    return this.#constant(`i32 ${bits | 0}`, i32x4.splat(bits | 0))
  }

  double(value: number): Local<'v128'> {
    return this.#constant(`f64 ${Object.is(value, -0) ? '-0' : value}`, f64x2.splat(value))
  }

  #constant(key: string, value: Vector): Local<'v128'> {
    let local = this.#constants.get(key)
    if (!local) {
      local = this.fn.insertAt(this.#point, () => this.fn.local('v128', 'constant', value))
      this.#constants.set(key, local)
    }
    return local
  }
}

const scratch = new DataView(new ArrayBuffer(4))

/** The bits of a number rounded to a 32-bit float. */
function bitsOf(value: number): number {
  scratch.setFloat32(0, value)
  return scratch.getInt32(0)
}

/** Puts a value into a local, for repeated use. */
export function keep(context: MathContext, value: Vector): Local<'v128'> {
  return context.fn.local('v128', 'value', value)
}

/** a · b + c, fused where the variant has it. */
export function multiplyAdd({ variant }: Pick<MathContext, 'variant'>, a: Vector, b: Vector, c: Vector): Vector {
  return usesRelaxedSimd(variant) ? f32x4.relaxedMadd(a, b, c) : f32x4.add(f32x4.mul(a, b), c)
}

/** c − a · b, fused where the variant has it. */
export function multiplySubtract({ variant }: Pick<MathContext, 'variant'>, a: Vector, b: Vector, c: Vector): Vector {
  return usesRelaxedSimd(variant) ? f32x4.relaxedNmadd(a, b, c) : f32x4.sub(c, f32x4.mul(a, b))
}

/** Lanes of `a` where the mask is all ones, of `b` where it is zero; other masks are not allowed. */
export function selectLanes({ variant }: Pick<MathContext, 'variant'>, a: Vector, b: Vector, mask: Vector): Vector {
  return usesRelaxedSimd(variant) ? i32x4.relaxedLaneselect(a, b, mask) : v128.bitselect(a, b, mask)
}

/** Σ coefficients[i] · xⁱ by Horner's rule. */
export function polynomial(context: MathContext, x: Vector, coefficients: readonly number[]): Vector {
  let sum: Vector = context.float(coefficients.at(-1) ?? 0)
  for (const coefficient of coefficients.slice(0, -1).reverse()) {
    sum = multiplyAdd(context, sum, x, context.float(coefficient))
  }
  return sum
}
