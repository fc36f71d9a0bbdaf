/**
 * Parts for authors of kernels: shaders that load and store operands in their formats and layouts, and call helper functions; what finishes a
 * result with the call's epilogue; the product of matrices, as a part of a larger call; and rows of attention.
 */
export { canFinish, Finish } from './fused/finish.ts'
export { foldWorkgroups } from './fused/groups.ts'
export type { HeadShader, HeadTurn } from './kernels/attention/head-shader.ts'
export { type AttentionProblem, lowest, mostWidth, scaleOf } from './kernels/attention/problem.ts'
export { addTo, dotOf, RowShader, scaleBy, zeros } from './kernels/attention/rows/row-shader.ts'
export { planMatmul } from './kernels/matmul/matmul.ts'
export { bytesMoved } from './program/bytes.ts'
export { laneOf, literal, scalar, vector, type Width } from './wgsl/formats.ts'
export { positionsOf } from './wgsl/indexing.ts'
export { computation } from './wgsl/operations.ts'
export { type Access, type AccessWish, indented, type ScratchAccess, Shader } from './wgsl/shader.ts'
