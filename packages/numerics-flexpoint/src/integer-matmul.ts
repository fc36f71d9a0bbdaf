import {
  applyOp,
  defineOp,
  formatSpec,
  type OpDefinition,
  ShapeError,
  type Tensor,
  type TensorSpec,
  TesseraError,
} from '@tessera/core'

declare module '@tessera/core' {
  interface OpAttributes {
    /** Inputs `[..., M, K]` and `[..., K, N]` of i8 or i16, with the same axes before; gives sums `[..., M, N]` of i32, which wrap. */
    integerMatmul: Readonly<Record<string, never>>
  }
}

const mantissaBits: Partial<Record<string, number>> = { i8: 8, i16: 16 }

/** The matrix product of integers: numbers are widened, products and sums are those of 32 bits. */
export const integerMatmulOp: OpDefinition<'integerMatmul'> = defineOp({
  op: 'integerMatmul',
  shape: (inputs) => {
    const [a, b] = inputs as [TensorSpec, TensorSpec]
    const rank = a.shape.length
    const fits =
      inputs.length === 2 &&
      rank >= 2 &&
      b.shape.length === rank &&
      mantissaBits[a.dtype] !== undefined &&
      mantissaBits[b.dtype] !== undefined &&
      a.shape.at(-1) === b.shape.at(-2) &&
      a.shape.slice(0, -2).every((extent, axis) => extent === b.shape[axis])
    if (!fits) {
      throw new ShapeError(
        `integerMatmul: takes [..., M, K] and [..., K, N] of i8 or i16 with the same axes before, got ${inputs.map(formatSpec).join(' and ')}. ` +
          'Cast the numbers, expand the axes before.',
      )
    }
    return [{ shape: [...a.shape.slice(0, -1), b.shape.at(-1)!], dtype: 'i32' }]
  },
  lower: ([a, b]) => [a!.cast('i32').unsqueeze(-1).multiply(b!.cast('i32').unsqueeze(-3)).sum(-2)],
})

/**
 * Matrix product of whole numbers, with sums in 32 bits. Sums of i8 are exact for K < 2¹⁷, of i8 with i16 for K < 2⁹; whatever is beyond
 * wraps modulo 2³², in the same way on every backend, so that i16 with i16 is exact where the sums themselves fit 32 bits.
 *
 * @param a `[..., M, K]`, i8 or i16
 * @param b `[..., K, N]`, i8 or i16, with the same axes before
 * @returns `[..., M, N]`, i32
 * @throws ShapeError for operands that do not fit
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { integerMatmul } from '@tessera/numerics-flexpoint'
 * const product = integerMatmul(tensor(new Int8Array([-128, -128]), [1, 2]), tensor(new Int8Array([-128, 127]), [2, 1]))
 * console.log(product.dtype, await product.data()) // i32 [128]
 * ```
 */
export function integerMatmul(a: Tensor, b: Tensor): Tensor {
  return applyOp(integerMatmulOp, [a, b], {})[0]!
}

/** A tensor in whole numbers: its values are `mantissas · scale`. */
export interface ScaledIntegers {
  /** i8 or i16. */
  readonly mantissas: Tensor
  /** A power of two in f32: a number or a scalar tensor. */
  readonly scale: number | Tensor
}

/**
 * Product of tensors in flexN+M, in f32: an exact product of the mantissas, times both scales. Only the conversion rounds, once, and only sums beyond 24 bits.
 *
 * @param a mantissas `[..., M, K]`
 * @param b mantissas `[..., K, N]`
 * @throws TesseraError `FLEX_SUM` if sums might exceed 32 bits: for i8 from K = 2¹⁷, i8 with i16 from 2⁹, i16 with i16 from 2; ShapeError
 *
 * @example
 * ```ts
 * import { tensor } from '@tessera/core'
 * import { encodeFlex, flexProduct } from '@tessera/numerics-flexpoint'
 * const stored = encodeFlex([1, -0.5, 0.25, 2], { bits: 8, exponentBits: 5 })
 * const matrix = { mantissas: tensor(stored.mantissas, [2, 2]), scale: stored.scale }
 * console.log(await flexProduct(matrix, matrix).data()) // [0.875, -1.5, 0.75, 3.875]
 * ```
 */
export function flexProduct(a: ScaledIntegers, b: ScaledIntegers): Tensor {
  const product = integerMatmul(a.mantissas, b.mantissas)
  const [bitsA, bitsB] = [mantissaBits[a.mantissas.dtype]!, mantissaBits[b.mantissas.dtype]!]
  const inner = a.mantissas.shape.at(-1)!
  if (inner * 2 ** (bitsA + bitsB - 2) >= 2 ** 31) {
    throw new TesseraError(
      'FLEX_SUM',
      `flexpoint: sums of ${inner} products of ${bitsA} and ${bitsB} bits may exceed 32 bits. Split the inner axis, or take fewer bits.`,
    )
  }
  return product.cast('f32').multiply(a.scale).multiply(b.scale)
}
