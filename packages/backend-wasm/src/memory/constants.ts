import { TesseraError } from '../core.ts'
import { layout } from './layout.ts'

const capacity = (layout.constantsEnd - layout.constants) / 4
const slots = new Map<number, number>()
const values = new Int32Array(capacity)

/**
 * The address of a 32-bit constant in every device's memory. Vector code loads its constants from there before a loop: V8 would
 * make a `v128.const` anew in every round. The table is the process's own, so that compiled code can be shared between devices.
 */
export function constantAddress(bits: number): number {
  let slot = slots.get(bits | 0)
  if (slot === undefined) {
    slot = slots.size
    if (slot === capacity) throw new TesseraError('INTERNAL', `wasm: more than ${capacity} different vector constants.`)
    slots.set(bits | 0, slot)
    values[slot] = bits
  }
  return layout.constants + 4 * slot
}

/** Copies the constants known so far into a device's memory; to be called after code was generated, before it runs. */
export function writeConstants(words: Int32Array): void {
  words.set(values.subarray(0, slots.size), layout.constants / 4)
}

const float = new Float32Array(1)
const floatBits = new Int32Array(float.buffer)

/** The bits of a number rounded to f32. */
export function bitsOfFloat(value: number): number {
  float[0] = value
  return floatBits[0]!
}
