/** Parts for authors of kernels: shaders that load and store operands in their formats and layouts, and call helper functions. */
export { foldWorkgroups } from './fused/groups.ts'
export { laneOf, literal, scalar, vector, type Width } from './wgsl/formats.ts'
export { positionsOf } from './wgsl/indexing.ts'
export { computation } from './wgsl/operations.ts'
export { type Access, type AccessWish, indented, type ScratchAccess, Shader } from './wgsl/shader.ts'
