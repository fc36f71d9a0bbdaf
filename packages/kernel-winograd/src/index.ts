/** Keeps the declarations of the backends' programs in this package's types. */
export type { WasmKernelProgram } from '@tessera/backend-wasm'
export type { WebGpuKernelProgram } from '@tessera/backend-webgpu'
export {
  winogradF2,
  winogradF2BackwardInput,
  winogradF4,
  winogradF4BackwardInput,
} from './convolution.ts'
export { winogradF2BackwardFilter, winogradF4BackwardFilter } from './filter-gradient.ts'
export { cookToom, reversedColumns, type WinogradMatrices } from './generator/cook-toom.ts'
export {
  countOperations,
  type LinearProgram,
  type LinearStep,
  linearProgram,
  runLinearProgram,
} from './generator/linear-program.ts'
export { formatMatrix, Rational, type RationalMatrix } from './generator/rational.ts'
export {
  webGpuWinogradF2,
  webGpuWinogradF2BackwardInput,
  webGpuWinogradF4,
  webGpuWinogradF4BackwardInput,
} from './webgpu/convolution.ts'
export { webGpuWinogradF2BackwardFilter, webGpuWinogradF4BackwardFilter } from './webgpu/filter-gradient.ts'
export { winograd } from './winograd.ts'
