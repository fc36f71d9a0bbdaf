import type { Operand } from '@tessera/core'

/** What the adapter has, as far as kernels choose by it. */
export interface WebGpuFeatures {
  /** `enable f16;`: 16-bit floats in arithmetic. */
  readonly f16: boolean
  /** `enable subgroups;` and the number of the subgroup: reductions among the invocations that run in lockstep. */
  readonly subgroups: boolean
  /** Smallest and largest number of invocations of a subgroup; 0 without subgroups. */
  readonly subgroupSizes: readonly [number, number]
  /** An adapter that runs shaders on the processor: barriers are slow there and memory is near. */
  readonly software: boolean
}

/** Limits of the device that shaders must keep to. */
export interface WebGpuShaderLimits {
  /** Storage buffers in one bind group. */
  readonly storageBuffers: number
  /** Invocations of one workgroup. */
  readonly invocations: number
  /** Workgroups along one axis of a dispatch. */
  readonly workgroupsPerAxis: number
  /** Bytes of workgroup memory. */
  readonly workgroupBytes: number
  /** Alignment of buffer bindings, in bytes. */
  readonly bindingAlignment: number
}

export interface WebGpuEnvironment {
  readonly features: WebGpuFeatures
  readonly limits: WebGpuShaderLimits
}

/** A range of device memory that a shader sees as one storage buffer. */
export interface MemoryRange {
  /** A buffer bound to the program (by its position), the program's arena, memory that a kernel has for itself, or the program's constants. */
  readonly place: 'bound' | 'arena' | 'scratch' | 'constants'
  /** Position among the bound buffers; 0 for other places. */
  readonly slot: number
  /** From the start of the place, in bytes. */
  readonly offset: number
  readonly byteLength: number
  readonly access: 'read' | 'read_write'
}

/** Where the operands of one call lie. Ranges are compared by identity: two operands in one buffer share a range. */
export interface CallMemory {
  locate(operand: Operand): { readonly range: MemoryRange; readonly firstByte: number }
  /** Memory that only this call uses, with arbitrary contents. */
  scratch(byteLength: number): MemoryRange
  /** Memory with these contents, written once when the program is compiled, and only read. */
  constants(words: Uint32Array): MemoryRange
}

/** One dispatch of a compute shader. Its entry point is `main`; its bindings are those of group 0. */
export interface WebGpuDispatch {
  /** For labels, profiles and error messages. */
  readonly name: string
  /** WGSL. Dispatches with the same text share a pipeline. */
  readonly code: string
  /** Storage buffers, in the order of their bindings. */
  readonly bindings: readonly MemoryRange[]
  /** Contents of a uniform buffer, the binding after those of `bindings`. */
  readonly parameters?: Uint32Array
  readonly workgroups: readonly [number, number, number]
}

/** What a call does on the device. */
export interface WebGpuCallPlan {
  readonly dispatches: readonly WebGpuDispatch[]
}

/** What the `build` of a WebGPU kernel gives: the dispatches of its call, once the device and the places of operands are known. */
export type WebGpuKernelProgram = (environment: WebGpuEnvironment, memory: CallMemory) => WebGpuCallPlan
