import type { FunctionCode } from './encode.ts'
import type { Instruction } from './expression.ts'
import { findInstruction } from './expression.ts'
import type { ModuleBuilder } from './module.ts'
import type { FunctionHandle } from './variables.ts'

/** The functions of a module as text close to the WebAssembly text format, one instruction a line, for debugging. */
export function printModule(module: ModuleBuilder): string {
  return module
    .definitions()
    .map(({ handle, code }) => printFunction(module, handle, code))
    .join('\n')
}

function printFunction(module: ModuleBuilder, handle: FunctionHandle, code: FunctionCode): string {
  const parameters = Object.entries(handle.parameters).map(([name, type]) => ` (param $${name} ${type})`)
  const result = handle.result === 'void' ? '' : ` (result ${handle.result})`
  const lines = [`(func $${handle.name}${parameters.join('')}${result}`]
  const first = parameters.length
  code.localTypes.forEach((type, i) => {
    lines.push(`  (local ${localName(code, first + i)} ${type})`)
  })
  const reader = new Reader(code.body)
  let depth = 1
  while (!reader.done) {
    const op = reader.instruction()
    const text = `${op.name}${immediateText(reader, op, code, module)}`
    if (op.name === 'end' || op.name === 'else') depth--
    if (depth > 0) lines.push(`${'  '.repeat(depth)}${text}`)
    if (op.name === 'block' || op.name === 'loop' || op.name === 'if' || op.name === 'else') depth++
  }
  lines.push(')')
  return lines.join('\n')
}

/** Slots may serve several locals in turn; the index makes their first name unique. */
function localName(code: FunctionCode, index: number): string {
  return `$${code.localNames[index]}.${index}`
}

function immediateText(reader: Reader, op: Instruction, code: FunctionCode, module: ModuleBuilder): string {
  switch (op.immediate) {
    case 'none':
      if (op.name === 'block' || op.name === 'loop' || op.name === 'if') reader.byte()
      return ''
    case 'memory':
    case 'memoryLane': {
      reader.unsigned()
      const offset = reader.unsigned()
      const lane = op.immediate === 'memoryLane' ? ` ${reader.byte()}` : ''
      return `${offset === 0 ? '' : ` offset=${offset}`}${lane}`
    }
    case 'lane':
      return ` ${reader.byte()}`
    case 'lanes':
      return ` ${Array.from({ length: 16 }, () => reader.byte()).join(' ')}`
    case 'index': {
      const index = reader.unsigned()
      if (op.name.startsWith('local.')) return ` ${localName(code, index)}`
      return op.name === 'call' ? ` $${module.functionName(index)}` : ` ${index}`
    }
    case 'indirect': {
      const type = reader.unsigned()
      reader.byte()
      return ` (type ${type})`
    }
    case 'i32':
      return ` ${BigInt.asIntN(32, reader.signed())}`
    case 'i64':
      return ` ${reader.signed()}`
    case 'f32':
      return ` ${reader.float(4)}`
    case 'f64':
      return ` ${reader.float(8)}`
    case 'zero':
      reader.byte()
      return ''
    case 'twoZeros':
      reader.byte()
      reader.byte()
      return ''
  }
}

/** Reads the encodings that the assembler writes. */
class Reader {
  readonly #bytes: Uint8Array
  #position = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get done(): boolean {
    return this.#position >= this.#bytes.length
  }

  byte(): number {
    return this.#bytes[this.#position++] ?? 0
  }

  instruction(): Instruction {
    const first = this.byte()
    const isPrefix = first >= 0xfc
    const opcode = isPrefix ? this.unsigned() : first
    const found = findInstruction(isPrefix ? first : 0, opcode)
    if (!found) throw new Error(`wasm assembler: no instruction has the code ${first} ${opcode}`)
    return found
  }

  unsigned(): number {
    let [value, factor] = [0, 1]
    for (;;) {
      const byte = this.byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      factor *= 128
    }
  }

  signed(): bigint {
    let [value, shift] = [0n, 0n]
    for (;;) {
      const byte = this.byte()
      value |= BigInt(byte & 0x7f) << shift
      shift += 7n
      if (byte < 0x80) return byte & 0x40 ? value - (1n << shift) : value
    }
  }

  float(size: 4 | 8): number {
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#position, size)
    this.#position += size
    return size === 4 ? view.getFloat32(0, true) : view.getFloat64(0, true)
  }
}
