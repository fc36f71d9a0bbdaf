import { dataError } from './bytes.ts'
import { Dataset } from './dataset.ts'
import type { HostTensor } from './host-tensor.ts'

/** One image of a classification data set. */
export interface LabelledImage {
  /** u8 `[channels, height, width]` */
  readonly image: HostTensor<Uint8Array>
  /** i32 scalar */
  readonly label: HostTensor<Int32Array>
}

/** Images and their classes as a data set. */
export function labelledImages(
  pixels: Uint8Array,
  shape: readonly [number, number, number, number],
  labels: Int32Array,
): Dataset<LabelledImage> {
  if (labels.length !== shape[0])
    throw dataError(`There are ${shape[0]} images and ${labels.length} labels. Give files that belong together.`)
  return Dataset.ofRows({ image: { data: pixels, shape }, label: { data: labels, shape: [labels.length] } })
}

/** Pixels from 0 to 255 as f32 from 0 to 1, or standardised: `(pixel / 255 − mean) / deviation`. */
export function scalePixels({ data, shape }: HostTensor, mean = 0, deviation = 1): HostTensor<Float32Array> {
  const [factor, shift] = [1 / (255 * deviation), mean / deviation]
  const scaled = new Float32Array(data.length)
  for (let i = 0; i < data.length; i++) scaled[i] = data[i]! * factor - shift
  return { data: scaled, shape }
}
