import { TesseraError } from '../../errors.ts'
import { formatOf, type TypedArray } from '../../graph/format.ts'
import type {
  Backend,
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

const limits: Limits = {
  gigaflops: 0.1,
  gigabytesPerSecond: 1,
  microsecondsPerCall: 2,
  alignment: 8,
  maximumBufferBytes: 2 ** 31 - 8,
  maximumOperands: 256,
}

interface ReferenceBuffer extends DeviceBuffer {
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

class ReferenceDevice implements Device<'reference'> {
  readonly backend = 'reference'
  readonly variant = 'float64'
  readonly threads = 1
  readonly limits = limits
  readonly #ledger = new BufferLedger<ReferenceBuffer>('reference')
  /** One arena for all programs: they run one after the other. As large as the largest of those that are compiled. */
  #arena = new ArrayBuffer(0)
  readonly #compiled = new Set<Program>()

  memory(): { usedBytes: number; peakBytes: number } {
    return this.#ledger.memory()
  }

  allocate(byteLength: number): DeviceBuffer {
    this.#ledger.requireOpen('allocate')
    checkAllocation(byteLength, limits.maximumBufferBytes)
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
    const { memory } = this.#ledger.requireBytes(buffer, byteLength, 'read')
    return new Uint8Array(memory!.slice(0, byteLength))
  }

  compile({ program, calls }: SelectedProgram<'reference'>): Executable {
    this.#ledger.requireOpen('compile')
    verifyProgram(program, limits.alignment)
    const built = calls.map(
      ({ call, kernel }): BuiltCall => ({
        run: kernel.build(call, limits),
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

/** Opens at once, everywhere. */
export interface ReferenceBackend extends Backend<'reference'> {
  open(): Device<'reference'>
}

/**
 * Plain TypeScript in float64: slow and right. What every other backend is compared with, and the one that needs nothing
 * but JavaScript. A run has ended when `run` returns.
 */
export const referenceBackend: ReferenceBackend = {
  name: 'reference',
  open: () => new ReferenceDevice(),
}
