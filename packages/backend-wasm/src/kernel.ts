/**
 * Parts for authors of kernels, beside the assembler: elementary functions of vectors, the packed matrix product and attention,
 * whole or in parts, and the epilogues of calls.
 */
export type { BlockPart, Blocks } from './fused/plan-block.ts'
export * from './kernels/attention/index.ts'
export { imageEpilogueWork, imageFollowers } from './kernels/convolution/after.ts'
export {
  epiloguePart,
  epilogueWork,
  followersOf,
  invocationOf,
  joinWords,
  resultOf,
  type Strided,
  stageOf,
} from './kernels/epilogue.ts'
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
