import { full, pad, reshape, slice } from './build.ts'
import type { Node } from './node.ts'
import type { Shape } from './shape.ts'

/** Puts elements back to `starts + k · steps` of a zero tensor of `shape`: the transpose of `slice`. Steps may be negative. */
export function unslice(x: Node, shape: Shape, starts: readonly number[], steps: readonly number[]): Node {
  if (x.shape.includes(0)) return full(shape, 0, x.dtype)
  let result = x
  let first = [...starts]
  if (steps.some((step) => step < 0)) {
    const flip = steps.map((step) => (step < 0 ? -1 : 1))
    result = slice(
      result,
      result.shape.map((extent, axis) => (flip[axis]! < 0 ? extent - 1 : 0)),
      result.shape,
      flip,
    )
    first = first.map((start, axis) => (steps[axis]! < 0 ? start + (x.shape[axis]! - 1) * steps[axis]! : start))
  }
  // A step of s spreads each element over s: [k] → [k, 1] → [k, s] → [k · s], of which the last s − 1 are cut off.
  for (let axis = 0; axis < steps.length; axis++) {
    const step = Math.abs(steps[axis]!)
    const extent = result.shape[axis]!
    if (step === 1 || extent === 0) continue
    const before = result.shape.slice(0, axis)
    const after = result.shape.slice(axis + 1)
    const unit = reshape(result, [...before, extent, 1, ...after])
    const high = unit.shape.map((_, i) => (i === axis + 1 ? step - 1 : 0))
    const spread = reshape(
      pad(
        unit,
        high.map(() => 0),
        high,
      ),
      [...before, extent * step, ...after],
    )
    result = slice(
      spread,
      spread.shape.map(() => 0),
      [...before, (extent - 1) * step + 1, ...after],
    )
  }
  const high = shape.map((extent, axis) => extent - first[axis]! - result.shape[axis]!)
  return pad(result, first, high)
}
