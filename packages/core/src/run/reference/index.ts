export { type ReferenceBackend, referenceBackend } from './device.ts'
export { referenceKernels } from './kernels.ts'
