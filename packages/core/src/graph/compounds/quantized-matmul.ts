import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import { binary, broadcastTo, cast, concatenate, full, multiply, reshape, subtract, transposeLast } from '../build.ts'
import { formatSpec, type Node, type TensorSpec } from '../node.ts'
import { matrixProduct } from '../products.ts'
import { sameShape } from '../shape.ts'

/** How the numbers of a quantised matrix are stored. */
export interface Quantization {
  /** 8: one i8 for each number. 4: two numbers in each u8, see `quantizedMatmul`. */
  readonly bits: 8 | 4
  /** Neighbouring numbers of a row that share a scale; divides the length of a row. */
  readonly block: number
}

/** Attributes of the ops in this file. */
export interface QuantizedMatmulAttributes {
  /**
   * `x · wᵀ` for inputs `x [..., K]` (f32), `values`, `scales [N, K / block]` (f32); gives `[..., N]`. Element `[n, k]` of `w` is
   * `scales[n, ⌊k / block⌋]` times
   *
   * - 8 bits: `values[n, k]`, with `values [N, K]` (i8);
   * - 4 bits: a number from −8 to 7, stored plus 8 in `values [N, K / 2]` (u8). Byte `i` of a block holds element `i` in its low and
   *   element `i + block / 2` in its high four bits.
   */
  quantizedMatmul: Quantization
}

/** Refuses operands that do not belong together. */
function resultSpec(inputs: readonly TensorSpec[], { bits, block }: Quantization): TensorSpec {
  const [x, values, scales] = inputs as readonly [TensorSpec, TensorSpec, TensorSpec]
  const length = x.shape.at(-1) ?? 0
  const rows = values.shape[0] ?? 0
  const fits =
    inputs.length === 3 &&
    x.shape.length > 0 &&
    Number.isInteger(block) &&
    block > 0 &&
    length % block === 0 &&
    (bits === 8 || (bits === 4 && block % 2 === 0)) &&
    sameShape(values.shape, [rows, (length * bits) / 8]) &&
    sameShape(scales.shape, [rows, length / block])
  if (!fits || x.dtype !== 'f32' || scales.dtype !== 'f32' || values.dtype !== (bits === 8 ? 'i8' : 'u8')) {
    const [wantedX, wantedValues] = ['f32[..., K]', bits === 8 ? 'i8[N, K]' : 'u8[N, K / 2]']
    throw new ShapeError(
      `quantizedMatmul: ${bits} bits in blocks of ${block} take x ${wantedX}, values ${wantedValues} and scales f32[N, K / ${block}], ` +
        `K a multiple of the block; got ${inputs.map(formatSpec).join(', ')}.`,
    )
  }
  return { shape: [...x.shape.slice(0, -1), rows], dtype: 'f32' }
}

/** The numbers that a quantised matrix stands for, `[N, K]`. */
export function dequantized(values: Node, scales: Node, { bits, block }: Quantization): Node {
  const [rows, blocks] = scales.shape as [number, number]
  const whole = bits === 8 ? reshape(cast(values, 'f32'), [rows, blocks, block]) : fourBits(values, rows, blocks, block)
  const scaled = multiply(whole, broadcastTo(reshape(scales, [rows, blocks, 1]), whole.shape))
  return reshape(scaled, [rows, blocks * block])
}

function fourBits(values: Node, rows: number, blocks: number, block: number): Node {
  const bytes = reshape(values, [rows, blocks, block / 2])
  const low = binary('and', bytes, full(bytes.shape, 15, 'u8'))
  const high = binary('shiftRight', bytes, full(bytes.shape, 4, 'u8'))
  return subtract(cast(concatenate([low, high], 2), 'f32'), 8)
}

export const quantizedMatmul: OpDefinition<'quantizedMatmul'> = {
  op: 'quantizedMatmul',
  shape: (inputs, attributes) => [resultSpec(inputs, attributes)],
  lower: ([x, values, scales], attributes) => [
    matrixProduct(x!, transposeLast(dequantized(values!, scales!, attributes))),
  ],
}
