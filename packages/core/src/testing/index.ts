export { assertClose, assertFails, type CloseOptions, relativeRms, type Tolerance } from './assertions.ts'
export { type CollectedTest, collectTests, failuresOf } from './collect.ts'
export { type Capabilities, defaultCapabilities, type TestRunner } from './context.ts'
export { convolutionReferences } from './convolution.ts'
export {
  type ConvolutionCase,
  type ConvolutionEpilogue,
  convolutionCall,
  convolutionCases,
  convolutionEpilogues,
} from './convolution-calls.ts'
export { checkGradient, type GradientCheck } from './gradient.ts'
export type { Choices } from './operations/choices.ts'
export {
  type CoverageCollector,
  type CoverageRecord,
  collectCoverage,
  type OpCoverage,
} from './operations/coverage.ts'
export {
  at,
  fill,
  type HostTensor,
  indicesOf,
  mapElements,
  mapRows,
  reduceElements,
} from './operations/host.ts'
export { opTests, untestedOps } from './operations/index.ts'
export {
  awkwardShapes,
  type OpCase,
  type OperandSpec,
  type OpTest,
} from './operations/op-test.ts'
export { type OpTestOptions, testOp } from './operations/test-op.ts'
export { BodyBuilder, type BodyValue, ProgramBuilder, withView } from './programs.ts'
export { quantizedMatmulCall, quantizedMatmulReference } from './quantized-matmul.ts'
export { createRandom, type Random, randomStorage, seedFor, toStorage } from './random.ts'
export {
  type Comparison,
  compareWithReference,
  type RunResult,
  referenceRun,
  runProgram,
  selectKernels,
} from './run-program.ts'
export { type BackendTestOptions, testBackend } from './test-backend.ts'
export { type FormatTestOptions, testFormat } from './test-format.ts'
export { type KernelTestCall, type KernelTestOptions, testKernel } from './test-kernel.ts'
export { elementwiseTolerances, toleranceOf } from './tolerances.ts'
