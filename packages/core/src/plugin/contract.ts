import type { FormatDescriptor, TypedArray } from '../graph/format.ts'
import type { Graph, Node, TensorSpec } from '../graph/node.ts'
import type { OpAttributes, OpName } from '../graph/operations.ts'
import type { OpCall, Program } from '../schedule/program.ts'

/** The version of this contract. A plugin that states another one is refused. */
export const pluginApiVersion = 1

/** What a kernel's `build` gives to its backend, by backend name. Backends add theirs by declaration merging. */
export interface BackendPrograms {
  reference: ReferenceKernelProgram
  null: NullKernelProgram
}
export type BackendName = keyof BackendPrograms

/** Runs one call on plain typed arrays: `inputs` and `outputs` are the whole buffers of the operands, addressed by their views. */
export type ReferenceKernelProgram = (inputs: readonly TypedArray[], outputs: readonly TypedArray[]) => void
/** The null backend computes nothing. */
export type NullKernelProgram = null

/** What an op means. */
export interface OpDefinition<Op extends OpName = OpName> {
  readonly op: Op
  /** Shapes and formats of the outputs. Throws a `ShapeError` that names the op and the operands. */
  shape(inputs: readonly TensorSpec[], attributes: OpAttributes[Op]): readonly TensorSpec[]
  /** The same result in other ops, finally in primitives: one node for each output. Absent for primitives only. */
  lower?(inputs: readonly Node[], attributes: OpAttributes[Op]): readonly Node[]
  /**
   * Gradients of the inputs given those of the outputs (`undefined` where none flows). Absent: derived from `lower`.
   */
  vjp?(context: VjpContext<Op>): readonly (Node | undefined)[]
  /**
   * Tangents of the outputs given those of the inputs (`undefined` where none flows). Absent: derived from the gradient. Needed
   * only where no gradient exists, or where the derived tangent would be slow.
   */
  jvp?(context: JvpContext<Op>): readonly (Node | undefined)[]
  /**
   * The op applied to each element of a leading axis: one node for each output, with that axis in front. `undefined`, or no such
   * function: the definition is batched instead, op by op.
   */
  batch?(context: BatchContext<Op>): readonly Node[] | undefined
  /**
   * Computes the outputs on the host, for what has no useful form in primitives: the inputs are read from the device, and the
   * outputs written back. Used where the op has no `lower` and no kernel takes the call.
   */
  host?(
    inputs: readonly HostTensor[],
    attributes: OpAttributes[Op],
    outputs: readonly TensorSpec[],
  ): readonly TypedArray[]
}

/** A tensor's data on the host, in row-major order. */
export interface HostTensor extends TensorSpec {
  readonly data: TypedArray
}

export interface JvpContext<Op extends OpName = OpName> {
  readonly attributes: OpAttributes[Op]
  readonly inputs: readonly Node[]
  /** The op's own outputs. */
  readonly outputs: readonly Node[]
  /** Tangent of each input; `undefined` where none flows. */
  readonly tangents: readonly (Node | undefined)[]
}

export interface BatchContext<Op extends OpName = OpName> {
  readonly attributes: OpAttributes[Op]
  /** Those that are batched have the batch axis in front. */
  readonly inputs: readonly Node[]
  readonly batched: readonly boolean[]
  /** Extent of the batch axis. */
  readonly size: number
  /** An input with the batch axis in front, repeated along it where it is not batched. */
  spread(input: number): Node
}

export interface VjpContext<Op extends OpName = OpName> {
  readonly attributes: OpAttributes[Op]
  readonly inputs: readonly Node[]
  /** The op's own outputs. */
  readonly outputs: readonly Node[]
  /** Gradient of each output; `undefined` where none flows. */
  readonly cotangents: readonly (Node | undefined)[]
  /** Which inputs a gradient is wanted for. */
  readonly needs: readonly boolean[]
}

/** The device's figures that costs are estimated from. */
export interface Limits {
  /** Multiply–adds count as two. */
  readonly gigaflops: number
  readonly gigabytesPerSecond: number
  /** Fixed cost of one call in a program. */
  readonly microsecondsPerCall: number
  /** Alignment of buffers inside the arena, a power of two. */
  readonly alignment: number
  readonly maximumBufferBytes: number
  /** Most distinct buffers that one call may use. */
  readonly maximumOperands: number
}

/**
 * Layouts of operands. `rows`: any strides, 0 and negative ones among them, as long as the elements of the last axis are
 * neighbours. `any`: inputs of any strides, outputs as `rows`.
 */
export type KernelLayouts = 'rows' | 'any'

/** A faster way to run an op on one backend. */
export interface Kernel<Op extends OpName = OpName, B extends BackendName = BackendName> {
  readonly name: string
  readonly op: Op
  readonly backend: B
  /** Relative root-mean-square error against float64, for operands of the size of one. */
  readonly tolerance: number
  /**
   * How operands of its calls may lie; without it they are in row-major order, and what is not is copied first. A kernel whose
   * op has others of more layouts must refuse what it cannot address, by its `cost`.
   */
  readonly layouts?: KernelLayouts
  /** True when `cost` and `build` heed `OpCall.epilogue`; other kernels never get a call that has one. */
  readonly epilogues?: boolean
  /** Estimated microseconds, or `undefined` when the kernel cannot run this call. */
  cost(call: OpCall<Op>, limits: Limits): number | undefined
  build(call: OpCall<Op>, limits: Limits): BackendPrograms[B]
}

/** Memory of a device. */
export interface DeviceBuffer {
  readonly byteLength: number
}

/** A call with the kernel that selection chose for it. */
export interface SelectedCall<B extends BackendName = BackendName> {
  readonly call: OpCall
  readonly kernel: Kernel<OpName, B>
  readonly estimatedMicroseconds: number
}

/** What a device compiles: the program, and a kernel for each of its calls. */
export interface SelectedProgram<B extends BackendName = BackendName> {
  readonly program: Program
  readonly calls: readonly SelectedCall<B>[]
}

/** A compiled program. */
export interface Executable {
  /**
   * Starts a run and returns; runs and copies of one device happen in the order in which they were asked for.
   * Buffers stand in the order of the program's inputs, then its outputs.
   */
  run(buffers: readonly DeviceBuffer[]): void
  /** Runs call by call and gives the microseconds that each took. */
  profile(buffers: readonly DeviceBuffer[]): Promise<readonly number[]>
  /** The generated code as text, for `debug: 4`. */
  source?(): string
  dispose(): void
}

/** An open backend. It knows bytes and programs, never tensors. */
export interface Device<B extends BackendName = BackendName> {
  readonly backend: B
  /** The variant that runs, for example `relaxed`. */
  readonly variant: string
  readonly threads: number
  readonly limits: Limits
  /** Bytes in use and at most so far, of device memory. */
  memory(): { readonly usedBytes: number; readonly peakBytes: number }
  allocate(byteLength: number): DeviceBuffer
  free(buffer: DeviceBuffer): void
  write(buffer: DeviceBuffer, bytes: Uint8Array): void
  /** A copy of the buffer's first `byteLength` bytes, after every run asked for so far. */
  read(buffer: DeviceBuffer, byteLength: number): Promise<Uint8Array<ArrayBuffer>>
  /** As `read`, at once: for devices whose runs have ended when `run` returns. Loops and host ops then wait for nothing. */
  readonly readNow?: ((buffer: DeviceBuffer, byteLength: number) => Uint8Array<ArrayBuffer>) | undefined
  compile(program: SelectedProgram<B>): Executable
  /** Resolves when every run asked for so far has ended. */
  synchronize(): Promise<void>
  close(): Promise<void>
}

/** Why a backend cannot run on this machine. */
export interface Unavailable {
  readonly unavailable: string
}

/** A way to run programs. */
export interface Backend<B extends BackendName = BackendName> {
  readonly name: B
  /** Opens the device, or gives the reason why it cannot run here. */
  open(): Device<B> | Unavailable | Promise<Device<B> | Unavailable>
}

/** A number format: what core must know of it. */
export interface NumericFormat extends FormatDescriptor {}

/** A rewriting of graphs that a package adds, run after simplification. */
export interface Pass {
  readonly name: string
  run(graph: Graph): Graph
}

/**
 * What a package brings: a plain value, handed to `createRuntime({ use: [...] })`. Importing a package does nothing by itself.
 */
export interface Plugin {
  readonly name: string
  readonly apiVersion: 1
  /** Names of plugins that must be used with this one; of a list of names, one of them. */
  readonly requires?: readonly (string | readonly string[])[]
  readonly ops?: readonly OpDefinition[]
  readonly kernels?: readonly Kernel[]
  readonly formats?: readonly NumericFormat[]
  readonly backends?: readonly Backend[]
  readonly passes?: readonly Pass[]
}
