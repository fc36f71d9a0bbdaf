export { type NullBackend, type NullCounts, type NullDevice, nullBackend } from './device.ts'
export { nullKernels } from './kernels.ts'
