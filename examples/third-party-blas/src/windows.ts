import type { OpAttributes } from '@tessera/core'

type Geometry = OpAttributes['convolution']

/**
 * Where the elements of every window of a convolution lie in one channel of its input: for each element of the window all
 * positions, −1 in the padding. Elements of the window and positions are in row-major order.
 */
export function windowTable(
  extents: readonly number[],
  window: readonly number[],
  positions: readonly number[],
  { stride, dilation, padding }: Geometry,
): Int32Array {
  let table = Int32Array.of(0)
  let [taps, places] = [1, 1]
  extents.forEach((extent, axis) => {
    const [length, count] = [window[axis]!, positions[axis]!]
    const next = new Int32Array(taps * length * places * count)
    let at = 0
    for (let tap = 0; tap < taps; tap++) {
      for (let element = 0; element < length; element++) {
        for (let place = 0; place < places; place++) {
          const outer = table[tap * places + place]!
          for (let position = 0; position < count; position++) {
            const inner = position * stride[axis]! + element * dilation[axis]! - padding[axis]![0]
            next[at++] = outer < 0 || inner < 0 || inner >= extent ? -1 : outer * extent + inner
          }
        }
      }
    }
    table = next
    taps *= length
    places *= count
  })
  return table
}

/** Writes the windows of some channels as the rows of a matrix `[channels · window, positions]` (im2col). */
export function toColumns(
  input: Float32Array,
  table: Int32Array,
  channels: number,
  size: number,
  columns: Float32Array,
) {
  let at = 0
  for (let channel = 0; channel < channels; channel++) {
    const plane = channel * size
    for (let i = 0; i < table.length; i++) {
      const from = table[i]!
      columns[at++] = from < 0 ? 0 : input[plane + from]!
    }
  }
}

/** Adds the rows of such a matrix to where their elements came from: the transpose of `toColumns`. */
export function fromColumns(
  columns: Float32Array,
  table: Int32Array,
  channels: number,
  size: number,
  input: Float32Array,
) {
  let at = 0
  for (let channel = 0; channel < channels; channel++) {
    const plane = channel * size
    for (let i = 0; i < table.length; i++) {
      const to = table[i]!
      if (to >= 0) input[plane + to]! += columns[at]!
      at++
    }
  }
}
