import type { OpCall, Operand, Program, ProgramBuffer } from '@tessera/core'
import { TesseraError } from '@tessera/core'
import type { CallMemory, MemoryRange, WebGpuShaderLimits } from './contract.ts'

/**
 * Finds out how one call reaches its operands. Each buffer is a binding of its own; where that would be more than a shader may have, the
 * temporaries share one binding that spans all of them.
 *
 * A GPU buffer may not be read-only in one binding of a dispatch and writable in another. All temporaries lie in one GPU buffer, so all of them
 * are bound writable.
 */
export class CallPlaces implements CallMemory {
  readonly #limits: WebGpuShaderLimits
  readonly #ranges = new Map<number, { readonly range: MemoryRange; readonly firstByte: number }>()
  /** Bytes after the arena where scratch memory starts, and of the scratch memory so far. */
  readonly #scratchStart: number
  #scratchBytes = 0
  readonly #constants: ProgramConstants

  /** @param constants of the whole program */
  constructor(
    program: Program,
    call: OpCall,
    scratchStart: number,
    limits: WebGpuShaderLimits,
    constants: ProgramConstants,
  ) {
    this.#limits = limits
    this.#constants = constants
    this.#scratchStart = scratchStart
    const buffers = new Map(program.buffers.map((buffer) => [buffer.id, buffer]))
    const slots = [...program.inputs, ...program.outputs]
    const written = new Set(call.outputs.map(({ buffer }) => buffer))
    const used = [...new Set([...call.inputs, ...call.outputs].map(({ buffer }) => buffer))].map(
      (id) => buffers.get(id)!,
    )
    const temporaries = used.filter(({ role }) => role === 'temporary')
    for (const buffer of used) {
      if (buffer.role === 'temporary') continue
      const { id, byteLength } = buffer
      const access = written.has(id) ? 'read_write' : 'read'
      this.#ranges.set(id, {
        range: { place: 'bound', slot: slots.indexOf(id), offset: 0, byteLength, access },
        firstByte: 0,
      })
    }
    if (used.length > limits.storageBuffers && temporaries.length > 1) this.#share(temporaries)
    else {
      for (const { id, offset, byteLength } of temporaries) {
        this.#ranges.set(id, { range: arenaRange(offset!, byteLength), firstByte: 0 })
      }
    }
    const bindings = new Set([...this.#ranges.values()].map(({ range }) => range)).size
    if (bindings > limits.storageBuffers) {
      throw new TesseraError(
        'LIMIT',
        `webgpu: a call of ${call.op} uses ${bindings} buffers; shaders of this adapter see at most ${limits.storageBuffers}. ` +
          'Compute parts of it first.',
      )
    }
  }

  get scratchBytes(): number {
    return this.#scratchBytes
  }

  locate({ buffer }: Operand): { readonly range: MemoryRange; readonly firstByte: number } {
    return this.#ranges.get(buffer)!
  }

  scratch(byteLength: number): MemoryRange {
    const offset = this.#scratchStart + this.#scratchBytes
    this.#scratchBytes += align(byteLength, this.#limits.bindingAlignment)
    return { place: 'scratch', slot: 0, offset, byteLength, access: 'read_write' }
  }

  constants(words: Uint32Array): MemoryRange {
    return this.#constants.add(words)
  }

  #share(temporaries: readonly ProgramBuffer[]): void {
    const start = Math.min(...temporaries.map(({ offset }) => offset!))
    const end = Math.max(...temporaries.map(({ offset, byteLength }) => offset! + byteLength))
    const range = arenaRange(start, end - start)
    for (const { id, offset } of temporaries) this.#ranges.set(id, { range, firstByte: offset! - start })
  }
}

/** The constants of all calls of a program, which lie in one buffer. */
export class ProgramConstants {
  readonly #alignment: number
  readonly #parts: { readonly words: Uint32Array; readonly offset: number }[] = []
  #byteLength = 0

  constructor({ bindingAlignment }: Pick<WebGpuShaderLimits, 'bindingAlignment'>) {
    this.#alignment = bindingAlignment
  }

  get byteLength(): number {
    return this.#byteLength
  }

  add(words: Uint32Array): MemoryRange {
    const offset = this.#byteLength
    this.#parts.push({ words, offset })
    this.#byteLength += align(words.byteLength, this.#alignment)
    return { place: 'constants', slot: 0, offset, byteLength: words.byteLength, access: 'read' }
  }

  copyTo(target: Uint32Array): void {
    for (const { words, offset } of this.#parts) target.set(words, offset / 4)
  }
}

const arenaRange = (offset: number, byteLength: number): MemoryRange => ({
  place: 'arena',
  slot: 0,
  offset,
  byteLength,
  access: 'read_write',
})

export const align = (bytes: number, alignment: number): number => Math.ceil(bytes / alignment) * alignment
