import { TesseraError } from '../../errors.ts'
import type { DeviceBuffer } from '../../plugin/contract.ts'
import type { Program } from '../../schedule/program.ts'

/** Counts a device's bytes and knows which of its buffers are alive. */
export class BufferLedger<Buffer extends DeviceBuffer> {
  readonly #alive = new WeakMap<DeviceBuffer, boolean>()
  readonly #name: string
  #usedBytes = 0
  #peakBytes = 0
  #closed = false

  constructor(name: string) {
    this.#name = name
  }

  memory(): { usedBytes: number; peakBytes: number } {
    return { usedBytes: this.#usedBytes, peakBytes: this.#peakBytes }
  }

  /** Counts memory that is no buffer; negative to give it back. */
  count(bytes: number): void {
    if (this.#closed) return
    this.#usedBytes += bytes
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes)
  }

  add(buffer: Buffer): Buffer {
    this.#alive.set(buffer, true)
    this.count(buffer.byteLength)
    return buffer
  }

  remove(buffer: DeviceBuffer): Buffer {
    const known = this.require(buffer, 'free')
    this.#alive.set(buffer, false)
    this.count(-buffer.byteLength)
    return known
  }

  /** The buffer, if it is this device's and alive. */
  require(buffer: DeviceBuffer, operation: string): Buffer {
    this.requireOpen(operation)
    const alive = this.#alive.get(buffer)
    if (alive === undefined) {
      throw new TesseraError(
        'BUFFER_FOREIGN',
        `${operation}: the buffer is not one of this ${this.#name} device. Allocate it here and copy its bytes.`,
      )
    }
    if (!alive) {
      throw new TesseraError(
        'BUFFER_FREED',
        `${operation}: the buffer of ${buffer.byteLength} bytes has been freed. Keep it until its last use, and free it once.`,
      )
    }
    return buffer as Buffer
  }

  /** The same, and at least `byteLength` bytes long. */
  requireBytes(buffer: DeviceBuffer, byteLength: number, operation: string): Buffer {
    const known = this.require(buffer, operation)
    if (!Number.isInteger(byteLength) || byteLength < 0 || byteLength > buffer.byteLength) {
      throw new TesseraError(
        'BUFFER_RANGE',
        `${operation}: ${byteLength} bytes asked for of a buffer of ${buffer.byteLength} bytes.`,
      )
    }
    return known
  }

  /** Checks the buffers that a run binds, in the order of the program's inputs, then outputs. */
  requireBindings(program: Program, bound: readonly DeviceBuffer[]): Map<number, Buffer> {
    const ids = [...program.inputs, ...program.outputs]
    if (bound.length !== ids.length) {
      throw new TesseraError(
        'BINDINGS',
        `run: the program binds ${program.inputs.length} inputs and ${program.outputs.length} outputs, got ${bound.length} buffers.`,
      )
    }
    const byId = new Map(ids.map((id, i) => [id, bound[i]!] as const))
    const bindings = new Map<number, Buffer>()
    for (const { id, byteLength, donatedFrom } of program.buffers) {
      const buffer = byId.get(id)
      if (!buffer) continue
      bindings.set(id, this.requireBytes(buffer, byteLength, `run: binding of program buffer ${id}`))
      if (donatedFrom !== undefined && byId.get(donatedFrom) !== buffer) {
        throw new TesseraError(
          'BINDINGS',
          `run: output ${id} takes over the memory of input ${donatedFrom}, but they are bound to different buffers. Bind one buffer to both.`,
        )
      }
    }
    return bindings
  }

  requireOpen(operation: string): void {
    if (this.#closed)
      throw new TesseraError('DEVICE_CLOSED', `${operation}: this ${this.#name} device is closed. Open another one.`)
  }

  close(): void {
    this.#closed = true
    this.#usedBytes = 0
  }
}

/** Checks the size of an allocation. */
export function checkAllocation(byteLength: number, maximum: number): void {
  if (!Number.isInteger(byteLength) || byteLength < 0 || byteLength > maximum) {
    throw new TesseraError(
      'OUT_OF_MEMORY',
      `allocate: ${byteLength} bytes; a buffer of this device holds from 0 to ${maximum} bytes. Split the tensor.`,
    )
  }
}
