export { ShapeError, TesseraError } from './errors.ts'
export type { ConvolutionGeometry } from './graph/compounds/convolution.ts'
export type { CompoundAttributes } from './graph/compounds/index.ts'
export type { PoolingGeometry } from './graph/compounds/pooling.ts'
export type { DType, FormatDescriptor, NumberFormats, NumberKind, TypedArray } from './graph/format.ts'
export { coreFormats, formatOf, isFloat, isInteger, promote } from './graph/format.ts'
export type { Graph, Node, TensorSpec } from './graph/node.ts'
export { createNode, formatSpec, topologicalOrder } from './graph/node.ts'
export type {
  BinaryName,
  ElementwiseName,
  FusedBody,
  FusedInstruction,
  OpAttributes,
  OpName,
  PrimitiveAttributes,
  PrimitiveName,
  ReduceName,
  UnaryName,
} from './graph/operations.ts'
export { formatGraph } from './graph/print.ts'
export type { Shape } from './graph/shape.ts'
export { formatShape, rowMajorStrides, sizeOf } from './graph/shape.ts'
export { Subgraph } from './graph/subgraph.ts'
export type { View } from './graph/view.ts'
export { hasAdjacentRows, isRowMajor, rowMajorView, viewBounds } from './graph/view.ts'
export type { StageReport } from './pipeline.ts'
export type {
  Backend,
  BackendName,
  BackendPrograms,
  BatchContext,
  Device,
  DeviceBuffer,
  Executable,
  HostTensor,
  JvpContext,
  Kernel,
  KernelLayouts,
  Limits,
  NullKernelProgram,
  NumericFormat,
  OpDefinition,
  Pass,
  Plugin,
  ReferenceKernelProgram,
  SelectedCall,
  SelectedProgram,
  Unavailable,
  VjpContext,
} from './plugin/contract.ts'
export { pluginApiVersion } from './plugin/contract.ts'
export { Registry } from './plugin/registry.ts'
export {
  createHostBackend,
  type HostBackend,
  type HostBackendName,
  type HostBackendOptions,
} from './run/host/device.ts'
export { nullBackend, nullKernels } from './run/null/index.ts'
export { referenceBackend, referenceKernels } from './run/reference/index.ts'
export type { Runtime, RuntimeOptions } from './run/runtime.ts'
export { createRuntime, currentRuntime, referencePlugin } from './run/runtime.ts'
export type { Epilogue, OpCall, Operand, Program, ProgramBuffer } from './schedule/program.ts'
export { ownInputs, resultBuffer, resultOf } from './schedule/program.ts'
export type { SelectionRules } from './select/select.ts'
export {
  celu,
  elu,
  gatedLinear,
  hardShrink,
  hardSigmoid,
  hardSwish,
  hardTanh,
  leakyRelu,
  logSigmoid,
  mish,
  relu6,
  selu,
  silu,
  softmin,
  softplus,
  softShrink,
  softsign,
  squaredRelu,
  tanhShrink,
  threshold,
} from './tensor/activations.ts'
export type { AttentionOptions } from './tensor/attention.ts'
export { attention } from './tensor/attention.ts'
export { checkpoint } from './tensor/checkpoint.ts'
export type { ScanOptions } from './tensor/control.ts'
export { cond, forLoop, scan, whileLoop } from './tensor/control.ts'
export type { ConvolutionOptions, TransposedConvolutionOptions } from './tensor/convolution.ts'
export {
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
} from './tensor/convolution.ts'
export type { NestedArray } from './tensor/create.ts'
export { eye, full, linspace, ones, onesLike, range, tensor, triangle, zeros, zerosLike } from './tensor/create.ts'
export type { CumulativeOptions } from './tensor/cumulative.ts'
export {
  cumulativeLogSumExp,
  cumulativeMaximum,
  cumulativeMinimum,
  cumulativeProduct,
  cumulativeSum,
} from './tensor/cumulative.ts'
export {
  cholesky,
  determinant,
  inverse,
  leastSquares,
  logDeterminant,
  pseudoInverse,
  qr,
  solve,
  svd,
  triangularSolve,
} from './tensor/decompositions.ts'
export type { TensorOpDefinition } from './tensor/define.ts'
export { applyOp, defineOp } from './tensor/define.ts'
export {
  gumbelSoftmax,
  randomBeta,
  randomCategorical,
  randomCauchy,
  randomChiSquared,
  randomDirichlet,
  randomExponential,
  randomGamma,
  randomGumbel,
  randomLaplace,
  randomLogistic,
  randomPermutation,
  randomStudent,
  randomTruncatedNormal,
  shuffle,
} from './tensor/distributions.ts'
export { einsum } from './tensor/einsum.ts'
export {
  acos,
  acosh,
  asin,
  asinh,
  atan,
  atan2,
  atanh,
  cbrt,
  clip,
  copySign,
  cosh,
  digamma,
  erfc,
  erfInverse,
  exp2,
  floorDivide,
  fraction,
  hypot,
  isClose,
  lerp,
  log2,
  log10,
  logAddExp,
  logGamma,
  logicalAnd,
  logicalNot,
  logicalOr,
  logicalXor,
  logit,
  modulo,
  replaceNonFinite,
  rsqrt,
  sinc,
  sinh,
  tan,
  truncate,
  xlogy,
} from './tensor/elementwise.ts'
export type {
  FormatGroup,
  FormatPolicy,
  FormatPolicyOptions,
  FormatStorage,
  RoundedPlace,
  RoundedTensor,
  TensorFormat,
} from './tensor/format-policy.ts'
export { formatPolicy } from './tensor/format-policy.ts'
export type { Complex } from './tensor/fourier.ts'
export {
  fourierTransform,
  inverseFourierTransform,
  inverseRealFourierTransform,
  realFourierTransform,
} from './tensor/fourier.ts'
export {
  indexWith,
  maskedFill,
  oneHot,
  putAlongAxis,
  sliceAt,
  takeAlongAxis,
  updateAt,
  updateSliceAt,
  where,
} from './tensor/indexing.ts'
export type { JitOptions, Jitted } from './tensor/jit.ts'
export { jit } from './tensor/jit.ts'
export { keepWide } from './tensor/keep-wide.ts'
export {
  cross,
  diagonal,
  diagonalMatrix,
  dot,
  kron,
  lowerTriangle,
  matmul,
  matrixPower,
  outer,
  trace,
  upperTriangle,
} from './tensor/linear-algebra.ts'
export { type LossScalePolicy, type LossScalePolicyOptions, lossScalePolicy } from './tensor/loss-scale-policy.ts'
export { crossEntropyLosses } from './tensor/losses.ts'
export type { PadMode } from './tensor/movement.ts'
export {
  broadcastTensors,
  chunk,
  concatenate,
  copy,
  meshGrid,
  moveAxis,
  pad,
  repeat,
  roll,
  rotateQuarter,
  slidingWindows,
  stack,
  swapAxes,
  tile,
  unstack,
} from './tensor/movement.ts'
export { layerNorm } from './tensor/normalization.ts'
export type { PatchOptions } from './tensor/patches.ts'
export { fold, pixelShuffle, pixelUnshuffle, unfold } from './tensor/patches.ts'
export type { PackedArgument, PolicyRewrite, PolicyState, ProgramPolicy } from './tensor/policy.ts'
export type { AveragePoolOptions, MaxPoolOptions } from './tensor/pooling.ts'
export {
  adaptiveAveragePool1d,
  adaptiveAveragePool2d,
  adaptiveAveragePool3d,
  adaptiveMaxPool1d,
  adaptiveMaxPool2d,
  adaptiveMaxPool3d,
  averagePool1d,
  averagePool2d,
  averagePool3d,
  maxPool1d,
  maxPool2d,
  maxPool3d,
} from './tensor/pooling.ts'
export type { QuantizedMatrix } from './tensor/quantization.ts'
export { dequantize, quantizedMatmul, quantizeMatrix } from './tensor/quantization.ts'
export {
  dropout,
  randomBernoulli,
  randomBits,
  randomInteger,
  randomKey,
  randomNormal,
  randomUniform,
  splitKey,
} from './tensor/random.ts'
export type { VarianceOptions } from './tensor/reductions.ts'
export { all, any, countNonZero, logSumExp, norm, standardDeviation, varianceOf } from './tensor/reductions.ts'
export type { ResizeOptions } from './tensor/resize.ts'
export { resize } from './tensor/resize.ts'
export type { GridSampleOptions } from './tensor/sampling.ts'
export { affineGrid, gridSample } from './tensor/sampling.ts'
export type { Scope } from './tensor/scope.ts'
export { scope } from './tensor/scope.ts'
export type { SortOptions } from './tensor/sorting.ts'
export {
  argSort,
  binCount,
  median,
  nonZero,
  quantile,
  searchSorted,
  sort,
  topK,
  unique,
} from './tensor/sorting.ts'
export {
  correlation,
  covariance,
  difference,
  histogram,
  interpolate,
  isIn,
  nanMaximum,
  nanMean,
  nanMinimum,
  nanSum,
  nanVariance,
  trapezoid,
} from './tensor/statistics.ts'
export type { ReduceOptions, TensorLike } from './tensor/tensor.ts'
export { Tensor } from './tensor/tensor.ts'
export type { Gradients } from './tensor/transforms.ts'
export { grad, hessianVectorProduct, jvp, valueAndGrad, valueAndGradWith, vjp } from './tensor/transforms.ts'
export type { Path } from './tensor/tree.ts'
export { mapTensors, namedTensors, tensorsIn, visitTree } from './tensor/tree.ts'
export type { BatchAxes, VmapOptions } from './tensor/vmap.ts'
export { vmap } from './tensor/vmap.ts'
export type { Padding, PerAxis } from './tensor/window-options.ts'
