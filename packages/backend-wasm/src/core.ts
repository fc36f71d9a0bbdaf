export { TesseraError } from '../../core/src/errors.ts'
export { type DType, formatOf } from '../../core/src/graph/format.ts'
export type {
  BinaryName, ElementwiseName, FusedBody, FusedInstruction, OpAttributes, OpName, ReduceName, UnaryName,
} from '../../core/src/graph/operations.ts'
export type { Shape } from '../../core/src/graph/shape.ts'
export type { View } from '../../core/src/graph/view.ts'
export type {
  Backend, BackendPrograms, Device, DeviceBuffer, Executable, Kernel, Limits, Plugin, SelectedProgram,
} from '../../core/src/plugin/contract.ts'
export type { OpCall, Operand, Program, ProgramBuffer } from '../../core/src/schedule/program.ts'
