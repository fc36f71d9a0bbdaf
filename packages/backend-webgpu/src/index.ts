export { WebGpuDevice } from './device/device.ts'
export type { WebGpuCounts } from './device/machine.ts'
export type { CompileProgress } from './device/pipelines.ts'
export { webGpuKernels } from './kernels/index.ts'
export type {
  CallMemory,
  MemoryRange,
  WebGpuCallPlan,
  WebGpuDispatch,
  WebGpuEnvironment,
  WebGpuFeatures,
  WebGpuKernelProgram,
  WebGpuShaderLimits,
} from './program/contract.ts'
export type { WebGpuOptions } from './webgpu.ts'
export { webgpu } from './webgpu.ts'
