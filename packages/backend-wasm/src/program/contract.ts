import type { FunctionHandle, ModuleBuilder, Parameters, ResultType } from '../assembler/index.ts'
import type { Variant } from '../variant.ts'

/** What code is generated for. */
export interface WasmTarget {
  readonly variant: Variant
  /** True when several threads may run the code. */
  readonly sharedMemory: boolean
  /** Threads that will enter the program; results must not depend on it. */
  readonly threads: number
}

/** Parameters of a function that a program calls, in order: scalars, addresses among them as i32. */
export type WasmParameters = Readonly<Record<string, 'i32' | 'f32'>>

/**
 * A function of the process-wide kernel library: compiled once for each variant and kind of memory, instantiated once for each
 * device, called by any number of programs. It must not depend on the shapes of a call: those come as arguments or as words of
 * the call's data.
 */
export interface WasmFunction<P extends WasmParameters = WasmParameters> {
  /** Names the function in the library: functions of equal names must have equal code. Begin it with the package's name. */
  readonly name: string
  readonly parameters: P
  /** Adds the function, and helpers that it needs, to a module. */
  define(module: ModuleBuilder, environment: WasmEnvironment): FunctionHandle<P, 'void'>
}

/** What the functions of one module share. */
export interface WasmEnvironment {
  readonly variant: Variant
  readonly sharedMemory: boolean
  /** A helper function of the module by name, made when it is first asked for. */
  helper<Q extends Parameters, R extends ResultType>(
    name: string,
    make: () => FunctionHandle<Q, R>,
  ): FunctionHandle<Q, R>
  /**
   * The barrier, for use inside a function: every thread must call it, and none goes on before all have.
   * `undefined` without shared memory, where there is only one thread.
   */
  barrier(): FunctionHandle<{ threads: 'i32' }, 'void'> | undefined
}

/** One argument of a step. */
export type WasmArgument =
  /** Address of the first element (the view's offset is in it) of an operand of the call, plus a constant number of bytes. */
  | { readonly kind: 'input' | 'output'; readonly index: number; readonly byteOffset?: number }
  /** Address in the call's `data`. */
  | { readonly kind: 'data'; readonly byteOffset?: number }
  /** Address in the scratch memory of the call that all threads share; it keeps its content from step to step. */
  | { readonly kind: 'sharedScratch'; readonly byteOffset?: number }
  /** Address in the calling thread's own scratch memory; it keeps its content from step to step. */
  | { readonly kind: 'threadScratch'; readonly byteOffset?: number }
  /** Address in the memory of `WasmCallPlan.kept`. */
  | { readonly kind: 'kept'; readonly byteOffset?: number }
  /** The number of the calling thread, from 0, and how many there are. A call with little work gets thread 0 of 1, however many the device has. */
  | { readonly kind: 'thread' | 'threads' }
  /** The number of the unit that is being computed; 0 in a step without units. */
  | { readonly kind: 'unit' }
  | { readonly kind: 'i32' | 'f32'; readonly value: number }

/** A function and its arguments, one for each of its parameters in order. */
export interface WasmInvocation {
  readonly function: WasmFunction
  readonly arguments: readonly WasmArgument[]
}

/** Every thread calls the function. */
export interface WasmStep extends WasmInvocation {
  /**
   * Cuts the work into units of which each is computed by one thread: a thread takes the next one whenever it is done with one, so
   * that none waits for another that is not running. The function is called for each unit, and gets its number by an argument
   * of the kind `unit`. What units compute may not depend on each other.
   */
  readonly units?: number
  /** What the same thread calls afterwards for the same unit, in order: an epilogue, say. */
  readonly after?: readonly WasmInvocation[]
}

/** How one call runs. */
export interface WasmCallPlan {
  /** In order; between two steps all threads wait for each other. No steps: nothing to do. */
  readonly steps: readonly WasmStep[]
  /** Constant bytes of the call, such as sizes and strides; they are copied to memory, 16-byte aligned, when the program is compiled. */
  readonly data?: ArrayBufferView
  /** Scratch memory that all threads share, in bytes; 64-byte aligned, content unspecified at first. */
  readonly sharedScratchBytes?: number
  /** Scratch memory of each thread, in bytes; likewise. */
  readonly threadScratchBytes?: number
  /**
   * Memory that the first `steps` steps fill from some inputs alone, such as packed weights. Where a program binds constants to these inputs,
   * the steps run once and the memory is kept; elsewhere they run every time, and it is scratch memory that all threads share.
   */
  readonly kept?: { readonly inputs: readonly number[]; readonly steps: number; readonly bytes: number }
}

/**
 * What `build` of a kernel for the backend `wasm` gives: the plan of the call for the machine that will run it.
 *
 * @example
 * // y = 2 x for a contiguous operand; `double` is a WasmFunction with parameters x, y, count, thread, threads
 * const build = (call: OpCall<'fused'>): WasmKernelProgram => () => ({
 *   steps: [{
 *     function: double,
 *     arguments: [
 *       { kind: 'input', index: 0 }, { kind: 'output', index: 0 }, { kind: 'i32', value: 1024 },
 *       { kind: 'thread' }, { kind: 'threads' },
 *     ],
 *   }],
 * })
 */
export type WasmKernelProgram = (target: WasmTarget) => WasmCallPlan
