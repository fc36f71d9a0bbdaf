import { TesseraError } from '@tessera/core'
import { Allocator } from './allocator.ts'
import { layout, maximumPages, pageBytes } from './layout.ts'

export interface MemoryOptions {
  /** A memory that several threads can use. */
  readonly shared: boolean
  /** Bytes up to which the memory may grow, at most 4 GiB. */
  readonly maximumBytes?: number
}

/** Memory grows by at least a quarter of its size and this much, so that it grows rarely. */
const smallestGrowth = 16 * 2 ** 20

/**
 * One WebAssembly memory, the allocator of what lies in it, and typed arrays on the whole of it, renewed when it grows.
 */
export class DeviceMemory {
  readonly memory: WebAssembly.Memory
  readonly maximumBytes: number
  readonly #allocator: Allocator
  #bytes: Uint8Array
  #words: Int32Array

  constructor(options: MemoryOptions) {
    const wanted = Math.floor(Math.min(options.maximumBytes ?? 2 ** 32, 2 ** 32) / pageBytes)
    const created = createMemory(Math.max(wanted, 1), options.shared)
    this.memory = created.memory
    this.maximumBytes = created.maximum * pageBytes
    this.#bytes = new Uint8Array(this.memory.buffer)
    this.#words = new Int32Array(this.memory.buffer)
    this.#allocator = new Allocator(layout.heap, this.#bytes.length)
  }

  /** The memory as bytes. Not to be kept: growing the memory replaces it. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** A copy of some bytes, which is not shared. */
  copy(address: number, byteLength: number): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(byteLength)
    copy.set(this.#bytes.subarray(address, address + byteLength))
    return copy
  }

  /** The memory as 32-bit words. Not to be kept. */
  get words(): Int32Array {
    return this.#words
  }

  get usedBytes(): number {
    return this.#allocator.usedBytes
  }

  get peakBytes(): number {
    return this.#allocator.peakBytes
  }

  /**
   * The address of at least `byteLength` new bytes, aligned to 64; their content is unspecified.
   * @throws TesseraError `OUT_OF_MEMORY`
   */
  allocate(byteLength: number): number {
    const address = this.#allocator.allocate(byteLength)
    if (address !== undefined) return address
    this.#grow(byteLength)
    return this.#allocator.allocate(byteLength)!
  }

  /** Gives memory back; false when nothing in use starts at this address. */
  free(address: number): boolean {
    return this.#allocator.free(address)
  }

  #grow(byteLength: number): void {
    const size = this.#bytes.length
    const missing = this.#allocator.end + this.#allocator.shortfall(byteLength) - size
    const comfortable = Math.max(missing, smallestGrowth, size / 4)
    const room = this.maximumBytes - size
    if (!this.#tryGrow(Math.min(comfortable, room), missing) && !this.#tryGrow(missing, missing)) {
      throw new TesseraError(
        'OUT_OF_MEMORY',
        `wasm: cannot allocate ${byteLength} bytes: ${this.usedBytes} bytes are in use and the memory may hold ` +
          `${this.maximumBytes}. Free tensors (dispose, scopes), make the batch smaller, checkpoint activations, or raise ` +
          'maximumMemoryBytes (at most 4 GiB).',
      )
    }
    this.#bytes = new Uint8Array(this.memory.buffer)
    this.#words = new Int32Array(this.memory.buffer)
    this.#allocator.extend(this.#bytes.length)
  }

  #tryGrow(bytes: number, needed: number): boolean {
    const pages = Math.ceil(bytes / pageBytes)
    if (pages * pageBytes < needed || this.#bytes.length + pages * pageBytes > this.maximumBytes) return false
    try {
      this.memory.grow(pages)
      return true
    } catch (error) {
      if (error instanceof RangeError) return false
      throw error
    }
  }
}

/** Engines may refuse to set aside so much address space: then a memory with the largest maximum that works. */
function createMemory(maximum: number, shared: boolean): { memory: WebAssembly.Memory; maximum: number } {
  const initial = Math.min(maximum, 16)
  for (let limit = Math.min(maximum, maximumPages); ; limit = Math.max(initial, limit >> 1)) {
    try {
      return { memory: new WebAssembly.Memory({ initial, maximum: limit, shared }), maximum: limit }
    } catch (error) {
      if (!(error instanceof RangeError) || limit === initial) throw error
    }
  }
}
