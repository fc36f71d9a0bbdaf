import { ShapeError } from '../errors.ts'
import { formatSpec } from '../graph/node.ts'
import { ones, range } from './create.ts'
import { takeAlongAxis, where } from './indexing.ts'
import { meshGrid, stack } from './movement.ts'
import { floating } from './operands.ts'
import type { Tensor } from './tensor.ts'

/** Images read at positions that are themselves computed (Jaderberg et al. 2015, "Spatial transformer networks"). */

export interface GridSampleOptions {
  /** `'linear'` (the default) blends the four pixels around a position; `'nearest'` takes the closest, and has no gradient to the grid. */
  readonly mode?: 'linear' | 'nearest'
  /** What is outside: zeros (the default), or the pixel at the edge. */
  readonly padding?: 'zeros' | 'edge'
  /** Whether −1 and 1 are the centres of the first and last pixel, instead of their outer edges. */
  readonly alignCorners?: boolean
}

/**
 * An image at given positions: PyTorch's `grid_sample` for images.
 *
 * @param input `[N, C, H, W]`
 * @param grid `[N, rows, columns, 2]`: x and y, from −1 (left, top) to 1 (right, bottom)
 * @returns `[N, C, rows, columns]`
 */
export function gridSample(input: Tensor, grid: Tensor, options: GridSampleOptions = {}): Tensor {
  const { mode = 'linear', padding = 'zeros', alignCorners = false } = options
  if (input.rank !== 4 || grid.rank !== 4 || grid.shape[3] !== 2 || grid.shape[0] !== input.shape[0]) {
    throw new ShapeError(
      `gridSample: expects [N, C, H, W] and [N, rows, columns, 2], got ${formatSpec(input)} and ${formatSpec(grid)}.`,
    )
  }
  const [n, c, height, width] = input.shape as readonly [number, number, number, number]
  const [rows, columns] = grid.shape.slice(1, 3) as [number, number]
  const positionOf = (coordinate: Tensor, extent: number) => {
    const position = alignCorners
      ? coordinate.add(1).multiply((extent - 1) / 2)
      : coordinate.add(1).multiply(extent).subtract(1).divide(2)
    return padding === 'edge' ? position.maximum(0).minimum(extent - 1) : position
  }
  const x = positionOf(grid.select(3, 0), width)
  const y = positionOf(grid.select(3, 1), height)
  // [N, C, H · W]: a pixel is looked up in each image, all channels at once.
  const pixels = floating(input).reshape([n, c, height * width])
  const pick = (row: Tensor, column: Tensor): Tensor => {
    const isInside = row.greaterEqual(0).and(row.less(height)).and(column.greaterEqual(0)).and(column.less(width))
    const flat = row
      .maximum(0)
      .minimum(height - 1)
      .multiply(width)
      .add(column.maximum(0).minimum(width - 1))
      .cast('i32')
      .reshape([n, 1, rows * columns])
      .expand([n, c, rows * columns])
    const picked = takeAlongAxis(pixels, flat, 2).reshape([n, c, rows, columns])
    return padding === 'edge' ? picked : where(isInside.unsqueeze(1), picked, 0)
  }
  if (mode === 'nearest') return pick(y.round(), x.round())
  const [left, top] = [x.floor(), y.floor()]
  const [right, bottom] = [left.add(1), top.add(1)]
  // Floors are constant between pixels: the gradient to the grid flows through the weights.
  const [h, v] = [x.subtract(left).unsqueeze(1), y.subtract(top).unsqueeze(1)]
  const blend = (a: Tensor, b: Tensor, weight: Tensor) => a.add(b.subtract(a).multiply(weight))
  return blend(blend(pick(top, left), pick(top, right), h), blend(pick(bottom, left), pick(bottom, right), h), v)
}

/**
 * The grid for `gridSample` that an affine map of the plane gives.
 *
 * @param map `[N, 2, 3]`: position = map · (x, y, 1)
 * @param size rows and columns of the result
 * @returns `[N, rows, columns, 2]`
 */
export function affineGrid(
  map: Tensor,
  size: readonly [number, number],
  { alignCorners = false }: { readonly alignCorners?: boolean } = {},
): Tensor {
  if (map.rank !== 3 || map.shape[1] !== 2 || map.shape[2] !== 3)
    throw new ShapeError(`affineGrid: expects [N, 2, 3], got ${formatSpec(map)}.`)
  const { dtype } = floating(map)
  // Whole numbers are exact in every format; what is divided is divided in that of the map.
  const centres = (extent: number): Tensor => {
    const index = range(extent).cast(dtype)
    if (alignCorners)
      return extent === 1
        ? index
        : index
            .multiply(2)
            .divide(extent - 1)
            .subtract(1)
    return index.multiply(2).add(1).divide(extent).subtract(1)
  }
  const [rows, columns] = size
  const [y, x] = meshGrid(centres(rows), centres(columns)) as [Tensor, Tensor]
  const points = stack([x, y, ones([rows, columns], dtype)], -1)
  const mapped = points.reshape([rows * columns, 3]).matmul(floating(map).transpose())
  return mapped.reshape([map.shape[0]!, rows, columns, 2])
}
