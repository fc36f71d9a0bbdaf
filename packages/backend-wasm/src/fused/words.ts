/** The words of a call's data that generated code reads: sizes, strides and constants, each under a name. */
export class Words {
  readonly #positions = new Map<string, number>()
  readonly #values: number[] = []

  integer(name: string, value: number): void {
    this.#positions.set(name, this.#values.push(value | 0) - 1)
  }

  float(name: string, value: number): void {
    float[0] = value
    this.integer(name, floatBits[0]!)
  }

  /** Byte offset of a word in the data. */
  offsetOf(name: string): number {
    const position = this.#positions.get(name)
    if (position === undefined) throw new Error(`fused: the call's data has no word '${name}'`)
    return 4 * position
  }

  toArray(): Int32Array {
    return Int32Array.from(this.#values)
  }
}

const float = new Float32Array(1)
const floatBits = new Int32Array(float.buffer)
