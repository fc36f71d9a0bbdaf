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
  winogradF2,
  winogradF2BackwardFilter,
  winogradF2BackwardInput,
  winogradF4,
  winogradF4BackwardFilter,
  winogradF4BackwardInput,
} from './kernels.ts'
export { winograd } from './winograd.ts'
