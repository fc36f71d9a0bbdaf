import type { Expression, FunctionBuilder, InsertionPoint, Local, ModuleBuilder } from '../assembler/index.ts'
import { i32, i32x4, v128 } from '../assembler/index.ts'
import { ConstantPool, type MathContext } from '../math/index.ts'
import type { WasmEnvironment } from '../program/contract.ts'
import type { LoweredBody } from './body.ts'
import type { Words } from './words.ts'

export type Vector = Expression<'v128'>
export type Integer = Expression<'i32'>

/** Parameters that every generated function has, before the addresses of its operands. */
export const commonParameters = {
  descriptor: 'i32',
  sharedScratch: 'i32',
  threadScratch: 'i32',
  thread: 'i32',
  threads: 'i32',
  /** The unit of work; 0 where the call has none. */
  unit: 'i32',
} as const

export type FusedParameters = typeof commonParameters & Readonly<Record<`operand${number}`, 'i32'>>

/** Bytes at the start of each thread's scratch memory that `takeJoinBytes` gives out. */
export const joinBytes = 4096

/** What the emitters of one function share: the builder, the body, words of the call's data, and vector constants. */
export class FusedCode {
  readonly fn: FunctionBuilder<FusedParameters, 'void'>
  readonly body: LoweredBody
  readonly module: ModuleBuilder
  readonly environment: WasmEnvironment
  readonly #words: Words
  readonly #start: InsertionPoint
  readonly #constants: ConstantPool
  /** Values that `interleave` has yet to put into their locals. */
  #waiting: { readonly local: Local<'v128'>; readonly value: Vector }[] | undefined
  #ramp: Local<'v128'> | undefined
  #joinBytesTaken = 0
  readonly #steps = new Map<number, Local<'i32'>>()
  readonly #counters = new Map<number, Local<'v128'>>()

  constructor(
    fn: FunctionBuilder<FusedParameters, 'void'>,
    body: LoweredBody,
    words: Words,
    module: ModuleBuilder,
    environment: WasmEnvironment,
  ) {
    this.fn = fn
    this.body = body
    this.module = module
    this.environment = environment
    this.#words = words
    this.#constants = new ConstantPool(fn as unknown as FunctionBuilder, fn.insertionPoint(), environment.variant)
    this.#start = fn.insertionPoint()
  }

  /** For the emitters of elementary functions. */
  get math(): MathContext {
    // They declare locals with values only, and of vectors only.
    const local = (_: string, name: string, value: Vector) => this.keep(value, name)
    return {
      fn: { local } as unknown as MathContext['fn'],
      variant: this.environment.variant,
      float: (value) => this.float(value),
      integer: (bits) => this.integer(bits),
      double: (value) => this.double(value),
    }
  }

  /**
   * An offset in the thread's scratch memory, below `joinBytes`, that nothing else in the function uses; `undefined` when all are taken. V8's revectoriser
   * moves loads beyond later stores to the same place, so every value that goes through memory for its sake needs a place of its own.
   */
  takeJoinBytes(bytes: number): number | undefined {
    const offset = this.#joinBytesTaken
    if (offset + bytes > joinBytes) return undefined
    this.#joinBytesTaken += bytes
    return offset
  }

  /** A word of the call's data. */
  word(name: string): Integer {
    return i32.load(this.fn.parameters.descriptor, this.#words.offsetOf(name))
  }

  /** A word of the call's data in every lane. */
  wordSplat(name: string): Vector {
    return v128.load32Splat(this.fn.parameters.descriptor, this.#words.offsetOf(name))
  }

  /** Address of an operand's first element. */
  operand(access: number): Local<'i32'> {
    return this.fn.parameters[`operand${access}`]!
  }

  /** A constant integer in every lane, made once before all loops. */
  integer(value: number): Local<'v128'> {
    return this.#constants.integer(value)
  }

  /** A constant float in every lane. */
  float(value: number): Local<'v128'> {
    return this.#constants.float(value)
  }

  /** A constant 64-bit float in both lanes. */
  double(value: number): Local<'v128'> {
    return this.#constants.double(value)
  }

  /** 0, 1, 2, 3. */
  ramp(): Local<'v128'> {
    this.#ramp ??= this.atStart('ramp', () => v128.const(Int32Array.of(0, 1, 2, 3)))
    return this.#ramp
  }

  /** Bytes from element to element along the inner axis of an access that is not contiguous. */
  step(access: number): Local<'i32'> {
    let local = this.#steps.get(access)
    if (!local) {
      local = this.fn.insertAt(this.#start, () => this.fn.local('i32', 'step', this.word(`step${access}`)))
      this.#steps.set(access, local)
    }
    return local
  }

  /** What the lanes of a counter are ahead of its first one: 0, 1, 2 and 3 steps. */
  counterLanes(access: number): Local<'v128'> {
    let local = this.#counters.get(access)
    if (!local) {
      const lanes = v128.const(Int32Array.of(0, 1, 2, 3))
      local = this.atStart('counter', () => i32x4.mul(lanes, this.wordSplat(`step${access}`)))
      this.#counters.set(access, local)
    }
    return local
  }

  /** A vector that is computed once, before everything else. */
  atStart(name: string, value: () => Vector): Local<'v128'> {
    return this.fn.insertAt(this.#start, () => this.fn.local('v128', name, value()))
  }

  /** A value in a local, so that it can be used several times. */
  keep(value: Vector, name = 'kept'): Local<'v128'> {
    if (!this.#waiting) return this.fn.local('v128', name, value)
    const local = this.fn.local('v128', name)
    this.#waiting.push({ local, value })
    return local
  }

  /**
   * The same computation for each of several vectors, with the code of all of them woven together step by step, where a step ends
   * with a local: each vector's chain of dependent instructions leaves room for those of the others, and a constant is loaded once.
   * `emit` may call nothing that emits code but `keep`.
   */
  interleave(count: number, emit: (u: number) => Vector): Vector[] {
    const chains: { readonly local: Local<'v128'>; readonly value: Vector }[][] = []
    const results = Array.from({ length: count }, (_, u) => {
      this.#waiting = []
      const result = emit(u)
      chains.push(this.#waiting)
      this.#waiting = undefined
      return result
    })
    for (let step = 0; step < (chains[0]?.length ?? 0); step++) {
      for (const chain of chains) this.fn.set(chain[step]!.local, chain[step]!.value)
    }
    return results
  }

  /** Lanes `[0, count)` all ones, the others zero. */
  laneMask(count: Integer): Vector {
    return i32x4.ltS(this.ramp(), i32x4.splat(count))
  }
}
