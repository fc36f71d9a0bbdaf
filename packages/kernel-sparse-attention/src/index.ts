export { type PatternWork, patternWork } from './groups/work.ts'
export type { SparseAttentionAttributes, SparseAttentionOptions } from './op.ts'
export { sparseAttention, sparseAttentionBackwardOp, sparseAttentionCachedOp, sparseAttentionOp } from './op.ts'
export { checkPattern } from './patterns/check.ts'
export { type DrawPatternOptions, drawPattern, type PatternPixels, patternPixels } from './patterns/draw.ts'
export { fitted } from './patterns/fitted.ts'
export type {
  BlockPattern,
  ConvolutionPattern,
  DensePattern,
  FixedPattern,
  LocalPattern,
  RasterPattern,
  SparsePattern,
  StridedPattern,
} from './patterns/pattern.ts'
export {
  banded,
  blocks,
  column,
  convolution,
  dense,
  fixed,
  fixedHeads,
  interleaved,
  local,
  row,
  strided,
} from './patterns/pattern.ts'
export { isVisible } from './patterns/visible.ts'
export { sparseAttentionPlugin } from './plugin.ts'
