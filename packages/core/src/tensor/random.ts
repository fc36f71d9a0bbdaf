import { ShapeError } from '../errors.ts'
import * as build from '../graph/build.ts'
import { randomBits as randomBitsOp } from '../graph/compounds/random-bits.ts'
import { createNode, type Node } from '../graph/node.ts'
import { checkShape, type Shape } from '../graph/shape.ts'
import { splitKeyBits, splitKeyWords } from '../graph/threefry.ts'
import { leafValue } from '../run/storage.ts'
import { tensor } from './create.ts'
import { operand, Tensor, type TensorLike } from './tensor.ts'

/**
 * A key for random numbers: u32[2]. Random functions are pure: the same key gives the same numbers on every backend and
 * thread count. Split a key to get fresh ones.
 *
 * @example
 * ```ts
 * import { randomKey, randomNormal, splitKey } from '@tessera/core'
 * const [first, second] = splitKey(randomKey(7))
 * const noise = randomNormal(first!, [2, 3])
 * console.log(noise.shape, second!.dtype)
 * ```
 */
export function randomKey(seed: number): Tensor {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new ShapeError(`randomKey: the seed must be an integer from 0 to 2^53 − 1, got ${seed}.`)
  return tensor(new Uint32Array([Math.floor(seed / 2 ** 32), seed % 2 ** 32]))
}

/** Independent keys made from one, which should not be used any more. */
export function splitKey(key: Tensor, count = 2): Tensor[] {
  const words = knownWords(key)
  // Keys that are known make programs that differ in nothing else alike, so that they are compiled once.
  if (words) return splitKeyWords(words, count).map((split) => tensor(split))
  const keys = new Tensor(splitKeyBits(key.node, count))
  return Array.from({ length: count }, (_, i) => keys.select(0, i))
}

/** The words of a key that lies on the host. */
function knownWords({ node }: Tensor): readonly [number, number] | undefined {
  if (node.op !== 'leaf' || node.dtype !== 'u32' || node.shape.length !== 1 || node.shape[0] !== 2) return undefined
  const value = leafValue(node)
  return value.kind === 'host' ? [value.data[0]!, value.data[1]!] : undefined
}

/** Independent random bits, u32. */
export function randomBits(key: Tensor, shape: Shape): Tensor {
  return new Tensor(bitsNode(key, shape))
}

function bitsNode(key: Tensor, shape: Shape): Node {
  checkShape('random', shape)
  return createNode(randomBitsOp, [key.node], { shape })
}

/** @internal Uniform on [0, 1), multiples of 2^−23. */
export function unitNode(key: Tensor, shape: Shape): Node {
  const mantissa = build.binary('shiftRight', bitsNode(key, shape), 9)
  return build.subtract(build.bitcast(build.binary('or', mantissa, 0x3f800000), 'f32'), 1)
}

/** Uniform on [low, high). */
export function randomUniform(key: Tensor, shape: Shape, low = 0, high = 1): Tensor {
  return new Tensor(build.add(build.multiply(unitNode(key, shape), high - low), low))
}

/** Normal numbers by the method of Box and Muller (1958), one for each pair of uniform ones. */
export function randomNormal(key: Tensor, shape: Shape, mean = 0, deviation = 1): Tensor {
  const [first, second] = splitKey(key) as [Tensor, Tensor]
  // 1 − u lies in (0, 1], so the logarithm is finite.
  const radius = build.squareRoot(build.multiply(build.log(build.subtract(1, unitNode(first, shape))), -2))
  const angle = build.multiply(unitNode(second, shape), 2 * Math.PI)
  return new Tensor(build.add(build.multiply(build.multiply(radius, build.unary('cos', angle)), deviation), mean))
}

/** Integers from `low` up to, not including, `high` (i32). The bias is below (high − low) / 2^32. */
export function randomInteger(key: Tensor, shape: Shape, low: number, high: number): Tensor {
  const span = high - low
  if (!Number.isInteger(low) || !Number.isInteger(high) || span < 1 || span > 2 ** 31) {
    throw new ShapeError(
      `randomInteger: needs integers with low < high and at most 2^31 apart, got ${low} and ${high}.`,
    )
  }
  return new Tensor(build.add(build.cast(build.binary('remainder', bitsNode(key, shape), span), 'i32'), low))
}

/** True with a probability: a number, or a tensor that broadcasts to the shape. */
export function randomBernoulli(key: Tensor, shape: Shape, probability: TensorLike): Tensor {
  return new Tensor(build.binary('less', unitNode(key, shape), operand(probability)))
}

/**
 * Zeroes elements with probability `rate` and divides the others by 1 − `rate` (Srivastava et al. 2014, inverted).
 */
export function dropout(x: Tensor, rate: number, key: Tensor): Tensor {
  if (!(rate >= 0 && rate < 1)) throw new ShapeError(`dropout: the rate must be at least 0 and below 1, got ${rate}.`)
  if (rate === 0) return x
  const kept = build.binary('lessEqual', rate, unitNode(key, x.shape))
  return new Tensor(build.where(kept, build.multiply(x.node, 1 / (1 - rate)), 0))
}
