import type { DeviceBuffer } from '@tessera/core'
import { TesseraError } from '@tessera/core'

/** A range of a device's memory. */
export class WasmBuffer implements DeviceBuffer {
  readonly byteLength: number
  /** First byte in the device's memory. */
  readonly address: number
  readonly owner: object
  freed = false

  constructor(owner: object, address: number, byteLength: number) {
    this.owner = owner
    this.address = address
    this.byteLength = byteLength
  }
}

/** The buffer as one of this device, still in use. */
export function liveBuffer(owner: object, buffer: DeviceBuffer, operation: string): WasmBuffer {
  if (!(buffer instanceof WasmBuffer) || buffer.owner !== owner) {
    throw new TesseraError(
      'WRONG_DEVICE',
      `wasm: ${operation}: the buffer belongs to another device. Move its content with read and write.`,
    )
  }
  if (buffer.freed) {
    throw new TesseraError(
      'FREED_BUFFER',
      `wasm: ${operation}: the buffer of ${buffer.byteLength} bytes at ${buffer.address} was freed. Free a buffer once, after its last use.`,
    )
  }
  return buffer
}
