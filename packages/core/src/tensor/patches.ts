import { gradients } from '../autodiff/gradient.ts'
import { ShapeError } from '../errors.ts'
import { formatSpec } from '../graph/node.ts'
import { zeros } from './create.ts'
import { moveAxis, slidingWindows } from './movement.ts'
import { Tensor } from './tensor.ts'
import { type PerAxis, perAxis } from './window-options.ts'

/** Images as patches and back, and channels as space and back. */

export interface PatchOptions {
  readonly stride?: PerAxis
  readonly padding?: PerAxis
  readonly dilation?: PerAxis
}

/**
 * The windows that a convolution moves over, as columns: PyTorch's `unfold`.
 *
 * @param input `[N, C, H, W]`
 * @param window a number, or height and width
 * @returns `[N, C · height · width, positions]`
 */
export function unfold(input: Tensor, window: PerAxis, options: PatchOptions = {}): Tensor {
  if (input.rank !== 4) throw new ShapeError(`unfold: expects [N, C, H, W], got ${formatSpec(input)}.`)
  const size = perAxis('unfold', 'window', window, 2)
  const { stride = 1, padding = 0, dilation = 1 } = options
  const [strides, paddings, dilations] = [
    perAxis('unfold', 'stride', stride, 2),
    perAxis('unfold', 'padding', padding, 2),
    perAxis('unfold', 'dilation', dilation, 2),
  ]
  const around = paddings.map((amount) => [amount, amount] as const)
  // [N, C, rows, columns, height, width]
  const windows = size.reduce(
    (x, extent, i) => {
      const all = slidingWindows(x, (extent - 1) * dilations[i]! + 1, strides[i]!, 2 + i)
      return all.slice(-1, 0, undefined, dilations[i]!)
    },
    input.pad([[0, 0], [0, 0], ...around]),
  )
  const [n, c, rows, columns] = windows.shape as [number, number, number, number]
  return moveAxis(windows, [4, 5], [2, 3]).reshape([n, c * size[0]! * size[1]!, rows * columns])
}

/**
 * Columns put back as windows of an image; where windows overlap they are added. It is the transpose of `unfold`, its gradient that of the other.
 *
 * @param columns `[N, C · height · width, positions]`
 * @param size height and width of the image
 * @param window height and width of the windows
 * @returns `[N, C, H, W]`
 */
export function fold(columns: Tensor, size: PerAxis, window: PerAxis, options: PatchOptions = {}): Tensor {
  const [extents, taps] = [perAxis('fold', 'size', size, 2), perAxis('fold', 'window', window, 2)]
  const perChannel = taps[0]! * taps[1]!
  const channels = (columns.shape[1] ?? 0) / perChannel
  if (columns.rank !== 3 || !Number.isInteger(channels))
    throw new ShapeError(`fold: expects [N, C · ${taps.join(' · ')}, positions], got ${formatSpec(columns)}.`)
  const image = zeros([columns.shape[0]!, channels, ...extents], columns.dtype)
  const unfolded = unfold(image, window, options)
  if (unfolded.shape[2] !== columns.shape[2]) {
    throw new ShapeError(
      `fold: an image of [${extents.join(', ')}] has ${unfolded.shape[2]} windows of [${taps.join(', ')}], got ${formatSpec(columns)}.`,
    )
  }
  return new Tensor(gradients([unfolded.node], [columns.node], [image.node])[0]!)
}

function upscaleOf(operation: string, factor: number): void {
  if (!Number.isInteger(factor) || factor < 1)
    throw new ShapeError(`${operation}: the factor must be an integer above 0, got ${factor}.`)
}

/**
 * Groups of `factor²` channels become squares of pixels (Shi et al. 2016).
 *
 * @param input `[..., C · factor², H, W]`
 * @returns `[..., C, H · factor, W · factor]`
 */
export function pixelShuffle(input: Tensor, factor: number): Tensor {
  upscaleOf('pixelShuffle', factor)
  const [channels, height, width] = input.shape.slice(-3) as [number, number, number]
  if (input.rank < 3 || channels % factor ** 2 !== 0)
    throw new ShapeError(`pixelShuffle: expects [..., C · ${factor ** 2}, H, W], got ${formatSpec(input)}.`)
  const outer = input.shape.slice(0, -3)
  const inner = channels / factor ** 2
  const split = input.reshape([...outer, inner, factor, factor, height, width])
  const r = outer.length
  return split
    .transpose([...outer.keys(), r, r + 3, r + 1, r + 4, r + 2])
    .reshape([...outer, inner, height * factor, width * factor])
}

/** The reverse of `pixelShuffle`: `[..., C, H · factor, W · factor] → [..., C · factor², H, W]`. */
export function pixelUnshuffle(input: Tensor, factor: number): Tensor {
  upscaleOf('pixelUnshuffle', factor)
  const [channels, height, width] = input.shape.slice(-3) as [number, number, number]
  if (input.rank < 3 || height % factor !== 0 || width % factor !== 0)
    throw new ShapeError(
      `pixelUnshuffle: expects height and width in multiples of ${factor}, got ${formatSpec(input)}.`,
    )
  const outer = input.shape.slice(0, -3)
  const split = input.reshape([...outer, channels, height / factor, factor, width / factor, factor])
  const r = outer.length
  return split
    .transpose([...outer.keys(), r, r + 2, r + 4, r + 1, r + 3])
    .reshape([...outer, channels * factor ** 2, height / factor, width / factor])
}
