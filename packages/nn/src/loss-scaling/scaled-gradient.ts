import { applyOp, defineOp, type Tensor, where } from '@tessera/core'

declare module '@tessera/core' {
  interface OpAttributes {
    scaledGradient: Record<never, never>
  }
}

const operation = defineOp({
  op: 'scaledGradient',
  lower: ([x]) => [x!],
  vjp: ({ inputs: [x, factor], gradients: [gradient] }) => {
    const scaled = gradient!.cast('f32').multiply(factor!).cast(x!.dtype)
    // x − x is 0 for finite numbers and NaN for others.
    return [where(scaled.subtract(scaled).equal(0), scaled, 0), undefined]
  },
})

/**
 * The value itself, whose gradient is multiplied by a factor; what is not finite then becomes 0.
 *
 * @param factor f32 scalar
 */
export function scaledGradient(x: Tensor, factor: Tensor): Tensor {
  return applyOp(operation, [x, factor], {})[0]!
}
