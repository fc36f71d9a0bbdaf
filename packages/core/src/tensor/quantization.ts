import { ShapeError } from '../errors.ts'
import {
  dequantized,
  type Quantization,
  quantizedMatmul as quantizedMatmulOp,
} from '../graph/compounds/quantized-matmul.ts'
import { createNode, formatSpec } from '../graph/node.ts'
import { where } from './indexing.ts'
import { Tensor } from './tensor.ts'

/** A matrix of small integers with a scale for each block of a row. */
export interface QuantizedMatrix extends Quantization {
  /** `[rows, columns]` (i8) for 8 bits, `[rows, columns / 2]` (u8) for 4. */
  readonly values: Tensor
  /** `[rows, columns / block]`, f32 */
  readonly scales: Tensor
}

/** Numbers that share a scale when four bits are asked for and no block is given: as in the Q4_0 format of llama.cpp. */
const defaultBlock4 = 32

/**
 * Rounds a matrix to small integers, each row, or each block of `block` numbers of a row, with a scale of its own.
 *
 * - 8 bits: from −127 to 127, the largest magnitude being 127. Without a block each row has one scale.
 * - 4 bits: from −8 to 7, the number of largest magnitude being −8. Without a block 32 numbers share a scale.
 *
 * @param weight `[rows, columns]`; for `quantizedMatmul` a row is one output's weights
 * @throws ShapeError if the weight is no matrix of floats or the block does not divide its rows
 * @example
 * ```ts
 * import { quantizedMatmul, quantizeMatrix, tensor } from '@tessera/core'
 * const weight = quantizeMatrix(tensor([[127, -64], [2, 1]]), { bits: 8 })
 * const product = await quantizedMatmul(tensor([1, 1]), weight).data()
 * console.log([...product].map((value) => value.toFixed(2))) // ['63.00', '3.01']
 * ```
 */
export function quantizeMatrix(
  weight: Tensor,
  options: { readonly bits: 8 | 4; readonly block?: number },
): QuantizedMatrix {
  const { bits } = options
  const [rows, columns] = weight.shape as [number, number]
  const block = options.block ?? (bits === 8 ? columns : defaultBlock4)
  if (weight.rank !== 2 || !(block > 0) || columns % block !== 0 || (bits === 4 && block % 2 !== 0)) {
    throw new ShapeError(
      `quantizeMatrix: takes a matrix whose rows consist of blocks of ${block}${bits === 4 ? ' (an even number)' : ''}, got ${formatSpec(weight.node)}. ` +
        'Choose a block that divides its columns.',
    )
  }
  const blocks = weight.cast('f32').reshape([rows, columns / block, block])
  const [largest, smallest] = [blocks.max(2, { keepDims: true }), blocks.min(2, { keepDims: true })]
  const extreme = where(largest.less(smallest.negate()), smallest, largest)
  const scales = bits === 8 ? extreme.abs().divide(127) : extreme.divide(-8)
  const whole = blocks.divide(where(scales.equal(0), 1, scales)).round()
  return {
    bits,
    block,
    values: bits === 8 ? whole.cast('i8').reshape([rows, columns]) : packed(whole.minimum(7).add(8), rows, columns),
    scales: scales.reshape([rows, columns / block]),
  }
}

/** Numbers from 0 to 15, `[rows, blocks, block]`: the first half of each block in the low bits of a byte, the second in the high bits. */
function packed(numbers: Tensor, rows: number, columns: number): Tensor {
  const [, blocks, block] = numbers.shape as [number, number, number]
  const halves = numbers.reshape([rows, blocks, 2, block / 2])
  const bytes = halves.select(2, 0).add(halves.select(2, 1).multiply(16))
  return bytes.cast('u8').reshape([rows, columns / 2])
}

/**
 * `x · wᵀ` for a quantised matrix `w`: what a linear layer computes whose weights, one row for each output, were rounded. Its
 * weights take a quarter or an eighth of the memory of f32, and so of the time in which one token reads them.
 *
 * @param x `[..., columns]`, f32
 * @returns `[..., rows]`, f32
 */
export function quantizedMatmul(x: Tensor, weight: QuantizedMatrix): Tensor {
  const { bits, block, values, scales } = weight
  return new Tensor(createNode(quantizedMatmulOp, [x.node, values.node, scales.node], { bits, block }))
}

/** The numbers that a quantised matrix stands for, `[rows, columns]`, f32. */
export function dequantize({ values, scales, bits, block }: QuantizedMatrix): Tensor {
  return new Tensor(dequantized(values.node, scales.node, { bits, block }))
}
