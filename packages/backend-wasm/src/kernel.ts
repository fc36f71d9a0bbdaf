/**
 * Parts for authors of kernels, beside the assembler: elementary functions of vectors, and the packed matrix product and attention,
 * whole or in parts.
 */
export * from './kernels/attention/index.ts'
export * from './kernels/matmul/index.ts'
export {
  ConstantPool,
  cos,
  decodeHalf,
  encodeHalf,
  erf,
  exp,
  exp2,
  expm1,
  type HalfFormat,
  keep,
  log,
  log1p,
  type MathContext,
  multiplyAdd,
  multiplySubtract,
  polynomial,
  pow,
  selectLanes,
  sin,
  tanh,
  type Vector,
} from './math/index.ts'
