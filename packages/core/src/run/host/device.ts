import { TesseraError } from '../../errors.ts'
import { formatOf, type TypedArray } from '../../graph/format.ts'
import type {
  Backend,
  BackendName,
  BackendPrograms,
  Device,
  DeviceBuffer,
  Executable,
  Limits,
  ReferenceKernelProgram,
  SelectedProgram,
} from '../../plugin/contract.ts'
import type { Operand, Program } from '../../schedule/program.ts'
import { BufferLedger, checkAllocation } from './memory.ts'
import { verifyProgram } from './verify.ts'

/** Backends whose programs run on typed arrays in JavaScript's own memory. */
export type HostBackendName = {
  [Name in BackendName]: BackendPrograms[Name] extends ReferenceKernelProgram ? Name : never
}[BackendName]

export interface HostBackendOptions<B extends BackendName> {
  readonly name: B
  /** The variant that the device states. */
  readonly variant: string
  /** Threads that its kernels use; 1 by default. */
  readonly threads?: number
  /** Figures for the estimates of the kernels' costs. */
  readonly limits: Pick<Limits, 'gigaflops' | 'gigabytesPerSecond' | 'microsecondsPerCall'>
}

/** Opens at once, everywhere. */
export interface HostBackend<B extends BackendName> extends Backend<B> {
  open(): Device<B>
}

/**
 * A backend whose memory is JavaScript's own: buffers are `ArrayBuffer`s, and what a kernel builds is a function of typed
 * arrays. It is all that a backend needs that calls native code on arrays, or computes in JavaScript; the kernels are the
 * plugin's own, or `referenceKernels` under its name. A run has ended when `run` returns.
 *
 * @example
 * ```ts
 * import { createHostBackend, createRuntime, type Kernel, type Plugin, type ReferenceKernelProgram, referenceKernels, tensor } from '@tessera/core'
 *
 * declare module '@tessera/core' {
 *   interface BackendPrograms {
 *     mine: ReferenceKernelProgram
 *   }
 * }
 * const limits = { gigaflops: 0.1, gigabytesPerSecond: 1, microsecondsPerCall: 2 }
 * const mine: Plugin = {
 *   name: 'mine',
 *   apiVersion: 1,
 *   backends: [createHostBackend({ name: 'mine', variant: 'float64', limits })],
 *   kernels: referenceKernels.map((kernel): Kernel => ({ ...kernel, backend: 'mine' })),
 * }
 * const runtime = await createRuntime({ use: [mine] })
 * console.log(runtime.device.backend, await tensor([1, 2]).sum().item()) // mine 3
 * await runtime.close()
 * ```
 */
export function createHostBackend<B extends HostBackendName>(options: HostBackendOptions<B>): HostBackend<B> {
  return { name: options.name, open: () => new HostDevice<B>(options) }
}

const memoryLimits = { alignment: 8, maximumBufferBytes: 2 ** 31 - 8, maximumOperands: 256 }

interface HostBuffer extends DeviceBuffer {
  /** Padded to whole float64 words; `undefined` after `free`. */
  memory: ArrayBuffer | undefined
}

/** A call ready to run: its program, and its operands in the order of inputs, then outputs. */
interface BuiltCall {
  readonly run: ReferenceKernelProgram
  readonly inputs: readonly Operand[]
  readonly outputs: readonly Operand[]
}

/** Memory of a program's buffers during a run: for each id, where it lies. */
type Placement = ReadonlyMap<
  number,
  { readonly memory: ArrayBuffer; readonly offset: number; readonly byteLength: number }
>

class HostDevice<B extends HostBackendName> implements Device<B> {
  readonly backend: B
  readonly variant: string
  readonly threads: number
  readonly limits: Limits
  readonly #ledger: BufferLedger<HostBuffer>
  /** One arena for all programs: they run one after the other. As large as the largest of those that are compiled. */
  #arena = new ArrayBuffer(0)
  readonly #compiled = new Set<Program>()

  constructor({ name, variant, threads = 1, limits }: HostBackendOptions<B>) {
    this.backend = name
    this.variant = variant
    this.threads = threads
    this.limits = { ...limits, ...memoryLimits }
    this.#ledger = new BufferLedger(name)
  }

  memory(): { usedBytes: number; peakBytes: number } {
    return this.#ledger.memory()
  }

  allocate(byteLength: number): DeviceBuffer {
    this.#ledger.requireOpen('allocate')
    checkAllocation(byteLength, memoryLimits.maximumBufferBytes)
    return this.#ledger.add({ byteLength, memory: new ArrayBuffer(Math.ceil(byteLength / 8) * 8) })
  }

  free(buffer: DeviceBuffer): void {
    this.#ledger.remove(buffer).memory = undefined
  }

  write(buffer: DeviceBuffer, bytes: Uint8Array): void {
    const { memory } = this.#ledger.requireBytes(buffer, bytes.byteLength, 'write')
    new Uint8Array(memory!).set(bytes)
  }

  async read(buffer: DeviceBuffer, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    return this.readNow(buffer, byteLength)
  }

  readNow(buffer: DeviceBuffer, byteLength: number): Uint8Array<ArrayBuffer> {
    const { memory } = this.#ledger.requireBytes(buffer, byteLength, 'read')
    return new Uint8Array(memory!.slice(0, byteLength))
  }

  compile({ program, calls }: SelectedProgram<B>): Executable {
    this.#ledger.requireOpen('compile')
    verifyProgram(program, memoryLimits.alignment)
    const built = calls.map(
      ({ call, kernel }): BuiltCall => ({
        run: kernel.build(call, this.limits),
        inputs: call.inputs,
        outputs: call.outputs,
      }),
    )
    // The same program may be compiled twice: each executable keeps its own copy to be told apart by.
    const own: Program = { ...program }
    this.#compiled.add(own)
    this.#fitArena()

    const runCalls = (buffers: readonly DeviceBuffer[], after: () => void): void => {
      if (!this.#compiled.has(own))
        throw new TesseraError('EXECUTABLE_DISPOSED', 'run: this program has been disposed of. Compile it again.')
      const placement = this.#place(own, buffers)
      for (const call of built) {
        call.run(
          call.inputs.map((operand) => arrayOf(operand, placement)),
          call.outputs.map((operand) => arrayOf(operand, placement)),
        )
        after()
      }
    }
    return {
      run: (buffers) => runCalls(buffers, () => {}),
      profile: async (buffers) => {
        const microseconds: number[] = []
        let start = performance.now()
        runCalls(buffers, () => {
          const end = performance.now()
          microseconds.push((end - start) * 1000)
          start = end
        })
        return microseconds
      },
      dispose: () => {
        this.#compiled.delete(own)
        this.#fitArena()
      },
    }
  }

  async synchronize(): Promise<void> {
    this.#ledger.requireOpen('synchronize')
  }

  async close(): Promise<void> {
    this.#compiled.clear()
    this.#arena = new ArrayBuffer(0)
    this.#ledger.close()
  }

  #fitArena(): void {
    let bytes = 0
    for (const { arenaBytes } of this.#compiled) bytes = Math.max(bytes, Math.ceil(arenaBytes / 8) * 8)
    if (bytes === this.#arena.byteLength) return
    this.#ledger.count(bytes - this.#arena.byteLength)
    this.#arena = new ArrayBuffer(bytes)
  }

  #place(program: Program, bound: readonly DeviceBuffer[]): Placement {
    const bindings = this.#ledger.requireBindings(program, bound)
    return new Map(
      program.buffers.map(({ id, byteLength, offset = 0 }) => {
        const binding = bindings.get(id)
        return [id, { memory: binding?.memory ?? this.#arena, offset: binding ? 0 : offset, byteLength }]
      }),
    )
  }
}

/** The whole buffer of an operand, in the operand's format. */
function arrayOf(operand: Operand, placement: Placement): TypedArray {
  const { memory, offset, byteLength } = placement.get(operand.buffer)!
  const { array, bytes } = formatOf(operand.dtype)
  return new array(memory, offset, Math.floor(byteLength / bytes))
}
