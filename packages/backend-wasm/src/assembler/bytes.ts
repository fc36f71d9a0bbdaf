import { AssemblerError } from './errors.ts'

const textEncoder = new TextEncoder()
const floatBuffer = new DataView(new ArrayBuffer(8))

/** A growing byte buffer that writes the encodings of the WebAssembly binary format (core specification, section 5). */
export class ByteWriter {
  #bytes: Uint8Array
  #length = 0

  constructor(capacity = 64) {
    this.#bytes = new Uint8Array(capacity)
  }

  /** Number of bytes written so far. */
  get length(): number {
    return this.#length
  }

  /** The written bytes, as a view that later writes may invalidate. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  /** The written bytes, copied. */
  toBytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.view())
  }

  byte(value: number): void {
    if (this.#length === this.#bytes.length) this.#grow(1)
    this.#bytes[this.#length++] = value
  }

  bytes(values: Uint8Array | readonly number[]): void {
    if (this.#length + values.length > this.#bytes.length) this.#grow(values.length)
    this.#bytes.set(values, this.#length)
    this.#length += values.length
  }

  /** Unsigned LEB128, 0 ≤ value < 2^32. */
  unsigned(value: number): void {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw new AssemblerError(`${value} is not an unsigned 32-bit integer`)
    }
    let rest = value
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80)
      rest = rest >>> 7
    }
    this.byte(rest)
  }

  /** Signed LEB128 of a 32-bit integer; unsigned values of 2^31 and above wrap to their bit pattern. */
  signed32(value: number): void {
    if (!Number.isInteger(value) || value < -0x80000000 || value > 0xffffffff) {
      throw new AssemblerError(`${value} is not a 32-bit integer`)
    }
    let rest = value | 0
    for (;;) {
      const low = rest & 0x7f
      rest >>= 7
      if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) {
        this.byte(low)
        return
      }
      this.byte(low | 0x80)
    }
  }

  /** Signed LEB128 of a 64-bit integer; unsigned values of 2^63 and above wrap to their bit pattern. */
  signed64(value: bigint): void {
    if (value < -(1n << 63n) || value >= 1n << 64n) throw new AssemblerError(`${value} is not a 64-bit integer`)
    let rest = BigInt.asIntN(64, value)
    for (;;) {
      const low = Number(rest & 0x7fn)
      rest >>= 7n
      if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) {
        this.byte(low)
        return
      }
      this.byte(low | 0x80)
    }
  }

  /** Four bytes, little endian. NaN is written in its canonical form. */
  float32(value: number): void {
    floatBuffer.setFloat32(0, value, true)
    for (let i = 0; i < 4; i++) this.byte(floatBuffer.getUint8(i))
  }

  /** Eight bytes, little endian. */
  float64(value: number): void {
    floatBuffer.setFloat64(0, value, true)
    for (let i = 0; i < 8; i++) this.byte(floatBuffer.getUint8(i))
  }

  /** A name: its UTF-8 bytes after their count. */
  name(text: string): void {
    this.sized(textEncoder.encode(text))
  }

  /** Bytes after their count. */
  sized(values: Uint8Array): void {
    this.unsigned(values.length)
    this.bytes(values)
  }

  #grow(extra: number): void {
    const grown = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + extra))
    grown.set(this.#bytes)
    this.#bytes = grown
  }
}
