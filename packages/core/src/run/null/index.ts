export { type NullCounts, type NullDevice, nullBackend } from './device.ts'
export { nullKernels } from './kernels.ts'
