export type {
  Arguments,
  Expression,
  FunctionBuilder,
  FunctionHandle,
  Global,
  InsertionPoint,
  Label,
  Local,
  Operand as ScalarOrExpression,
  ParameterLocals,
  Parameters,
  ResultType,
  Signature,
  ValueType,
} from './assembler/index.ts'
export {
  AssemblerError,
  atomic,
  call,
  callIndirect,
  f32,
  f32x4,
  f64,
  f64x2,
  i8x16,
  i16x8,
  i32,
  i32x4,
  i64,
  i64x2,
  ModuleBuilder,
  memoryGrow,
  memorySize,
  printModule,
  select,
  tee,
  v128,
} from './assembler/index.ts'
export { wasmFormats } from './fused/operations.ts'
export {
  wasmAttentionKernels,
  wasmBasicKernels,
  wasmConvolutionKernels,
  wasmKernels,
  wasmQuantizedKernels,
  wasmSequenceKernels,
} from './kernels/index.ts'
export type {
  WasmArgument,
  WasmCallPlan,
  WasmEnvironment,
  WasmFunction,
  WasmKernelProgram,
  WasmParameters,
  WasmStep,
  WasmTarget,
} from './program/contract.ts'
export type { Variant } from './variant.ts'
export type { WasmOptions } from './wasm.ts'
export { wasm, wasmWith } from './wasm.ts'
