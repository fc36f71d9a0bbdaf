import { dropout, ones, type Tensor, where } from '@tessera/core'
import { Dropout } from './dropout.ts'

/**
 * Zeroes whole channels of `[batch, channels, ...spatial]` (Tompson et al. 2015): neighbouring elements are too alike for `Dropout` to
 * withhold anything.
 */
export class ChannelDropout extends Dropout {
  protected override drop(x: Tensor, key: Tensor): Tensor {
    return x.multiply(dropout(ones(keepAxes(x, 2)), this.rate, key).cast(x.dtype))
  }
}

/**
 * Zeroes whole examples of `[batch, ...]`: as the branch of a residual block, that drops the block for them (Huang et al. 2016, "Stochastic
 * depth").
 */
export class DropPath extends Dropout {
  protected override drop(x: Tensor, key: Tensor): Tensor {
    return x.multiply(dropout(ones(keepAxes(x, 1)), this.rate, key).cast(x.dtype))
  }
}

/** Where SELU's values end on the left: −λα of Klambauer et al. 2017. */
const lowest = -1.7580993408473766

/** Sets elements to SELU's lowest value, then scales and shifts so that mean 0 and variance 1 stay (Klambauer et al. 2017, section 3). */
export class AlphaDropout extends Dropout {
  protected override drop(x: Tensor, key: Tensor): Tensor {
    const kept = 1 - this.rate
    const scale = 1 / Math.sqrt(kept + lowest ** 2 * kept * this.rate)
    const shift = -scale * this.rate * lowest
    const isKept = dropout(ones(x.shape), this.rate, key).greater(0)
    return where(isKept, x, lowest).multiply(scale).add(shift)
  }
}

/** The first extents of a shape, then ones. */
function keepAxes({ shape }: Tensor, count: number): number[] {
  return shape.map((extent, axis) => (axis < count ? extent : 1))
}
