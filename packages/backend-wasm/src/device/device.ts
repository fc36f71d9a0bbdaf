import type { Device, DeviceBuffer, Limits, SelectedProgram } from '@tessera/core'
import { TesseraError } from '@tessera/core'
import { liveBuffer, WasmBuffer } from './buffer.ts'
import { WasmExecutable } from './executable.ts'
import type { Machine } from './machine.ts'

/**
 * The device of the backend `wasm`. Where the calling thread is one of those that compute, a run is over when the call returns;
 * else runs, writes and reads happen in the order in which they were asked for.
 */
export class WasmDevice implements Device<'wasm'> {
  readonly backend = 'wasm'
  readonly variant: string
  readonly threads: number
  readonly limits: Limits
  readonly #machine: Machine

  constructor(machine: Machine) {
    this.#machine = machine
    this.variant = machine.library.variant
    this.threads = machine.threads
    this.limits = machine.limits
  }

  memory(): { readonly usedBytes: number; readonly peakBytes: number } {
    const { usedBytes, peakBytes } = this.#machine.memory
    return { usedBytes, peakBytes }
  }

  allocate(byteLength: number): WasmBuffer {
    this.#machine.requireOpen('allocate')
    if (!Number.isInteger(byteLength) || byteLength < 0) {
      throw new TesseraError('BUFFER_RANGE', `wasm: allocate: ${byteLength} is not a number of bytes.`)
    }
    return new WasmBuffer(this.#machine, this.#machine.memory.allocate(byteLength), byteLength)
  }

  free(buffer: DeviceBuffer): void {
    const live = liveBuffer(this.#machine, buffer, 'free')
    live.freed = true
    this.#machine.memory.free(live.address)
  }

  write(buffer: DeviceBuffer, bytes: Uint8Array): void {
    this.#machine.requireOpen('write')
    const live = this.#checked(buffer, bytes.length, 'write')
    this.#machine.write(live.address, bytes)
  }

  async read(buffer: DeviceBuffer, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    this.#machine.requireOpen('read')
    const { address } = this.#checked(buffer, byteLength, 'read')
    return this.#machine.read(address, byteLength)
  }

  /** Absent where runs are only asked for, as in a browser's main thread. */
  get readNow(): ((buffer: DeviceBuffer, byteLength: number) => Uint8Array<ArrayBuffer>) | undefined {
    if (!this.#machine.runsAtOnce) return undefined
    return (buffer, byteLength) => {
      this.#machine.requireOpen('read')
      return this.#machine.memory.copy(this.#checked(buffer, byteLength, 'read').address, byteLength)
    }
  }

  compile(program: SelectedProgram<'wasm'>): WasmExecutable {
    this.#machine.requireOpen('compile')
    return new WasmExecutable(this.#machine, program)
  }

  async synchronize(): Promise<void> {
    this.#machine.requireOpen('synchronize')
    await this.#machine.synchronize()
  }

  async close(): Promise<void> {
    await this.#machine.close()
  }

  #checked(buffer: DeviceBuffer, byteLength: number, operation: string): WasmBuffer {
    const live = liveBuffer(this.#machine, buffer, operation)
    if (!(byteLength >= 0 && byteLength <= live.byteLength)) {
      throw new TesseraError(
        'BUFFER_RANGE',
        `wasm: ${operation}: ${byteLength} bytes do not fit a buffer of ${live.byteLength}.`,
      )
    }
    return live
  }
}
