export { decodeWav, type EncodeWavOptions, encodeWav, muLawClasses, muLawSamples, type Sound } from './audio.ts'
export { cifar } from './cifar.ts'
export { type BatchOptions, Dataset, type ItemContext, type ItemSource, type MapOptions } from './dataset.ts'
export {
  type HostTensor,
  type OnDevice,
  type OnHost,
  stackExamples,
  toTensors,
} from './host-tensor.ts'
export { mnist, parseIdx } from './idx.ts'
export { type DecodeImageOptions, decodeImage, encodePng } from './images.ts'
export { type LabelledImage, scalePixels } from './labelled-images.ts'
export { Loader, type LoaderOptions } from './loader.ts'
export { type HostRandom, hostRandom } from './random.ts'
export { WorkerPool, type WorkerPoolOptions } from './worker-pool.ts'
