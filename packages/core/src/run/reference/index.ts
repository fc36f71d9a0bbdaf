export { type ReferenceBackend, referenceBackend } from './device.ts'
export { decodeBf16, decodeF16, encodeBf16, encodeF16 } from './half.ts'
export { referenceKernels } from './kernels.ts'
