import { type Tensor, type TensorFormat, TesseraError, where } from '@tessera/core'
import { floorLog2, powerOfTwo } from './powers.ts'

/** A binary floating-point format. */
export interface FloatSizes {
  readonly exponentBits: number
  readonly mantissaBits: number
  readonly largest: number
  /** What becomes of larger numbers. */
  readonly overflow: 'infinity' | 'saturate'
}

/** Rounds to the nearest number of a format, half to even; numbers below the smallest normal one keep fewer bits. */
export function roundToFloat(x: Tensor, { exponentBits, mantissaBits, largest, overflow }: FloatSizes): Tensor {
  const smallest = 2 - 2 ** (exponentBits - 1)
  // Two factors, since the step of the smallest numbers may leave f32's normal range.
  const exponent = floorLog2(x).maximum(smallest)
  const [power, inverse] = [powerOfTwo(exponent), powerOfTwo(exponent.negate())]
  const steps = 2 ** mantissaBits
  const rounded = x.multiply(inverse).multiply(steps).round().divide(steps).multiply(power)
  if (overflow === 'saturate') return rounded.minimum(largest).maximum(-largest)
  return where(
    rounded.abs().lessEqual(largest),
    rounded,
    where(x.equal(x), x.sign().multiply(Number.POSITIVE_INFINITY), x),
  )
}

const floats = {
  f16: { exponentBits: 5, mantissaBits: 10, largest: 65504, overflow: 'infinity' },
  bf16: { exponentBits: 8, mantissaBits: 7, largest: 2 ** 127 * (2 - 2 ** -7), overflow: 'infinity' },
} as const satisfies Record<string, FloatSizes>

/**
 * IEEE half precision or bfloat16, as formats that values round to.
 *
 * @example
 * ```ts
 * import { formatPolicy, jit, tensor, type Tensor } from '@tessera/core'
 * import { floatFormat } from '@tessera/numerics-flexpoint'
 * const policy = formatPolicy(floatFormat('bf16'))
 * const double = jit((x: Tensor) => x.matmul(tensor([[2, 0], [0, 2]])), { policy })
 * console.log(await double(tensor([[1.001, 3]])).data()) // [2, 6]
 * ```
 */
export function floatFormat(name: keyof typeof floats): TensorFormat {
  return {
    name,
    bits: 16,
    storage: { dtype: name, decode: (stored) => stored.cast('f32') },
    round: (x) => {
      const stored = x.cast(name)
      return { value: stored.cast(x.dtype), stored }
    },
  }
}

/** Elements of the block formats of the OCP Microscaling specification 1.0, section 5.3. */
const elements = {
  mxfp8: {
    bits: 8,
    largestExponent: 8,
    sizes: { exponentBits: 4, mantissaBits: 3, largest: 448, overflow: 'saturate' },
  },
  'mxfp8-e5m2': {
    bits: 8,
    largestExponent: 15,
    sizes: { exponentBits: 5, mantissaBits: 2, largest: 57344, overflow: 'saturate' },
  },
  mxfp6: {
    bits: 6,
    largestExponent: 2,
    sizes: { exponentBits: 2, mantissaBits: 3, largest: 7.5, overflow: 'saturate' },
  },
  'mxfp6-e3m2': {
    bits: 6,
    largestExponent: 4,
    sizes: { exponentBits: 3, mantissaBits: 2, largest: 28, overflow: 'saturate' },
  },
  mxfp4: { bits: 4, largestExponent: 2, sizes: { exponentBits: 2, mantissaBits: 1, largest: 6, overflow: 'saturate' } },
  mxint8: { bits: 8, largestExponent: 0, sizes: undefined },
} as const satisfies Record<string, { bits: number; largestExponent: number; sizes: FloatSizes | undefined }>

export type BlockFormatName = keyof typeof elements

/**
 * A block format of the OCP Microscaling specification 1.0: 32 neighbours along the last axis share a power of two, with which the largest
 * of them comes into the range of the elements.
 *
 * @param block elements that share a scale
 */
export function blockFormat(name: BlockFormatName, block = 32): TensorFormat {
  if (!Number.isInteger(block) || block < 1)
    throw new TesseraError('BLOCK_SIZE', `${name}: a block must have an integer number of elements ≥ 1, got ${block}.`)
  const { bits, largestExponent, sizes } = elements[name]
  const roundElements = (x: Tensor) =>
    sizes ? roundToFloat(x, sizes) : x.multiply(64).round().minimum(127).maximum(-127).divide(64)
  return {
    name,
    bits,
    round: (x) => {
      const length = x.shape.at(-1) ?? 1
      const missing = (block - (length % block)) % block
      const rows = x.reshape([-1, length])
      const padded =
        missing === 0
          ? rows
          : rows.pad([
              [0, 0],
              [0, missing],
            ])
      const blocks = padded.reshape([rows.shape[0]!, (length + missing) / block, block])
      const shared = floorLog2(blocks.abs().max(-1, { keepDims: true }))
        .subtract(largestExponent)
        .maximum(-126)
      const scaled = blocks.multiply(powerOfTwo(shared.negate()))
      const rounded = roundElements(scaled)
        .multiply(powerOfTwo(shared))
        .reshape([rows.shape[0]!, length + missing])
      return { value: (missing === 0 ? rounded : rounded.slice(1, 0, length)).reshape(x.shape).cast(x.dtype) }
    },
  }
}
