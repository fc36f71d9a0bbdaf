import type { DeviceBuffer } from '@tessera/core'
import { TesseraError } from '@tessera/core'
import { bufferUsage } from './constants.ts'

/** Sizes of GPU buffers are multiples of this, so that freed ones fit others. */
const granularity = 256
/** Bytes of freed buffers that are kept for later. */
const defaultKeptBytes = 2 ** 28

/** A buffer of the device: `memory` is at least as long. */
export class WebGpuBuffer implements DeviceBuffer {
  readonly byteLength: number
  readonly owner: DeviceMemory
  readonly memory: PooledBuffer
  freed = false

  constructor(owner: DeviceMemory, memory: PooledBuffer, byteLength: number) {
    this.owner = owner
    this.memory = memory
    this.byteLength = byteLength
  }
}

/** A GPU buffer with a number that tells it apart from all others. */
export interface PooledBuffer {
  readonly id: number
  readonly gpu: GPUBuffer
}

/** Allocates GPU buffers and keeps freed ones, so that a training step allocates nothing. */
export class DeviceMemory {
  readonly #device: GPUDevice
  readonly #maximumBufferBytes: number
  readonly #free = new Map<string, PooledBuffer[]>()
  #keptBytes = 0
  #nextId = 1
  #usedBytes = 0
  #peakBytes = 0

  constructor(device: GPUDevice, maximumBufferBytes: number) {
    this.#device = device
    this.#maximumBufferBytes = maximumBufferBytes
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get peakBytes(): number {
    return this.#peakBytes
  }

  allocate(byteLength: number): WebGpuBuffer {
    if (!Number.isInteger(byteLength) || byteLength < 0) {
      throw new TesseraError('BUFFER_RANGE', `webgpu: allocate: ${byteLength} is not a number of bytes.`)
    }
    if (byteLength > this.#maximumBufferBytes) {
      throw new TesseraError(
        'OUT_OF_MEMORY',
        `webgpu: allocate: ${byteLength} bytes; a shader of this adapter sees at most ${this.#maximumBufferBytes} bytes of one buffer. ` +
          'Split the tensor.',
      )
    }
    const buffer = new WebGpuBuffer(this, this.take(byteLength, storageUsage), byteLength)
    this.#count(byteLength)
    return buffer
  }

  /** Notes that a buffer is no longer used. Its memory is given back by `give`, when all work on it has been handed over. */
  release(buffer: WebGpuBuffer): void {
    buffer.freed = true
    this.#count(-buffer.byteLength)
  }

  /** A GPU buffer of at least so many bytes, with arbitrary contents. */
  take(byteLength: number, usage: number): PooledBuffer {
    const size = sizeFor(byteLength)
    const kept = this.#free.get(`${usage}:${size}`)?.pop()
    if (kept) {
      this.#keptBytes -= size
      return kept
    }
    return { id: this.#nextId++, gpu: this.#device.createBuffer({ size, usage }) }
  }

  /** Takes a GPU buffer back. */
  give(buffer: PooledBuffer): void {
    const { size, usage } = buffer.gpu
    if (this.#keptBytes + size > defaultKeptBytes) {
      buffer.gpu.destroy()
      return
    }
    const key = `${usage}:${size}`
    const list = this.#free.get(key)
    if (list) list.push(buffer)
    else this.#free.set(key, [buffer])
    this.#keptBytes += size
  }

  /** Counts memory that is no buffer; negative to give it back. */
  count(bytes: number): void {
    this.#count(bytes)
  }

  /** The device's own buffer behind a handle, alive. */
  require(buffer: DeviceBuffer, operation: string): WebGpuBuffer {
    if (!(buffer instanceof WebGpuBuffer) || buffer.owner !== this) {
      throw new TesseraError(
        'BUFFER_FOREIGN',
        `webgpu: ${operation}: the buffer is not one of this device. Allocate it here and copy its bytes.`,
      )
    }
    if (buffer.freed) {
      throw new TesseraError(
        'BUFFER_FREED',
        `webgpu: ${operation}: the buffer of ${buffer.byteLength} bytes has been freed. Keep it until its last use, and free it once.`,
      )
    }
    return buffer
  }

  /** The same, and at least `byteLength` bytes long. */
  requireBytes(buffer: DeviceBuffer, byteLength: number, operation: string): WebGpuBuffer {
    const own = this.require(buffer, operation)
    if (!(byteLength >= 0 && byteLength <= own.byteLength)) {
      throw new TesseraError(
        'BUFFER_RANGE',
        `webgpu: ${operation}: ${byteLength} bytes asked for of a buffer of ${own.byteLength} bytes.`,
      )
    }
    return own
  }

  #count(bytes: number): void {
    this.#usedBytes += bytes
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes)
  }
}

const storageUsage = bufferUsage.storage | bufferUsage.copySource | bufferUsage.copyTarget
const sizeFor = (byteLength: number): number => Math.max(granularity, Math.ceil(byteLength / granularity) * granularity)

/** One GPU buffer that holds the arena and the scratch memory of every program: they run one after the other. */
export class Workspace {
  readonly #memory: DeviceMemory
  readonly #users = new Map<object, number>()
  #buffer: PooledBuffer | undefined
  #bytes = 0

  constructor(memory: DeviceMemory) {
    this.#memory = memory
  }

  /** States the bytes that a program needs while it exists. */
  reserve(user: object, bytes: number): void {
    if (bytes > 0) this.#users.set(user, bytes)
    this.#fit()
  }

  release(user: object): void {
    this.#users.delete(user)
    this.#fit()
  }

  /** The buffer; another one after more was reserved, or less. */
  buffer(): PooledBuffer {
    this.#buffer ??= this.#memory.take(this.#bytes, storageUsage)
    return this.#buffer
  }

  #fit(): void {
    const bytes = Math.max(0, ...this.#users.values())
    if (bytes === this.#bytes) return
    this.#memory.count(bytes - this.#bytes)
    this.#bytes = bytes
    if (this.#buffer) this.#memory.give(this.#buffer)
    this.#buffer = undefined
  }
}
