import type { Tensor } from '@tessera/core'

/** ⌊log2 |x|⌋ of normal f32 numbers, exactly, as i32; −127 for zero and denormal numbers. */
export function floorLog2(x: Tensor): Tensor {
  return x.cast('f32').bitcast('i32').shiftRight(23).and(255).subtract(127)
}

/** ⌈log2 x⌉ of normal f32 numbers > 0, exactly, as i32. */
export function ceilLog2(x: Tensor): Tensor {
  const fraction = x.cast('f32').bitcast('i32').and(0x7fffff)
  return floorLog2(x).add(fraction.notEqual(0).cast('i32'))
}

/** 2^exponent for i32 exponents from −126 to 127, exactly, as f32. */
export function powerOfTwo(exponent: Tensor): Tensor {
  return exponent.add(127).shiftLeft(23).bitcast('f32')
}
