import type { HostTensor } from '@tessera/nn/data'

/** An image and what the net takes it for. */
export interface Judged {
  readonly pixels: Uint8Array
  readonly label: number
  readonly prediction: number
}

const side = 28
/** Height of the strip below an image that shows the answer, in pixels. */
const strip = 8
const gap = 2

/** Digits of 3 × 5 pixels, rows from the top, the left pixel in the highest bit. */
const glyphs = [
  [7, 5, 5, 5, 7],
  [2, 6, 2, 2, 7],
  [7, 1, 7, 4, 7],
  [7, 1, 7, 1, 7],
  [5, 5, 7, 1, 1],
  [7, 4, 7, 1, 7],
  [7, 4, 7, 5, 7],
  [7, 1, 2, 2, 2],
  [7, 5, 7, 5, 7],
  [7, 5, 7, 1, 7],
] as const

type Colour = readonly [number, number, number]

/**
 * A sheet of images with the answer below each: green where it is right, red where it is wrong, with the truth beside it.
 *
 * @returns u8 `[3, height, width]`
 */
export function drawSheet(images: readonly Judged[], columns: number): HostTensor<Uint8Array> {
  const rows = Math.ceil(images.length / columns)
  const [width, height] = [columns * (side + gap) + gap, rows * (side + strip + gap) + gap]
  const data = new Uint8Array(3 * width * height).fill(32)
  const put = (x: number, y: number, colour: Colour) => {
    for (let channel = 0; channel < 3; channel++) data[channel * width * height + y * width + x] = colour[channel]!
  }
  const write = (digit: number, left: number, top: number, colour: Colour) => {
    glyphs[digit]!.forEach((bits, y) => {
      for (let x = 0; x < 3; x++) if ((bits >> (2 - x)) & 1) put(left + x, top + y, colour)
    })
  }
  images.forEach(({ pixels, label, prediction }, i) => {
    const left = gap + (i % columns) * (side + gap)
    const top = gap + Math.floor(i / columns) * (side + strip + gap)
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const grey = pixels[y * side + x]!
        put(left + x, top + y, [grey, grey, grey])
      }
    }
    const isRight = label === prediction
    write(prediction, left + 1, top + side + 1, isRight ? [96, 224, 96] : [255, 96, 96])
    if (!isRight) write(label, left + 7, top + side + 1, [200, 200, 200])
  })
  return { data, shape: [3, height, width] }
}
