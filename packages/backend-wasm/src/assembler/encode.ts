import { ByteWriter } from './bytes.ts'
import type { Expression, Instruction } from './expression.ts'
import type { ResultType, ValueType } from './types.ts'
import { valueTypeCode } from './types.ts'

/** The finished code of a function. */
export interface FunctionCode {
  readonly localTypes: readonly ValueType[]
  readonly localNames: readonly string[]
  /** Instructions, with the final `end`. */
  readonly body: Uint8Array
}

/** Writes an opcode. */
export function writeCode(writer: ByteWriter, op: Instruction): void {
  if (op.prefix === 0) writer.byte(op.opcode)
  else {
    writer.byte(op.prefix)
    writer.unsigned(op.opcode)
  }
}

/** Writes the instruction of an expression with its immediates, but not its operands. */
export function writeInstruction(writer: ByteWriter, { instruction: op, immediates }: Expression<ResultType>): void {
  writeCode(writer, op)
  switch (op.immediate) {
    case 'none':
      break
    case 'memory':
    case 'memoryLane':
      writer.unsigned(op.alignment)
      writer.unsigned(immediates.offset as number)
      if (op.immediate === 'memoryLane') writer.byte(immediates.lane as number)
      break
    case 'lane':
      writer.byte(immediates.lane as number)
      break
    case 'lanes':
      writer.bytes(immediates.bytes as readonly number[])
      break
    case 'index':
      writer.unsigned(immediates.index as number)
      break
    case 'indirect':
      writer.unsigned(immediates.index as number)
      writer.byte(0)
      break
    case 'i32':
      writer.signed32(immediates.number as number)
      break
    case 'i64':
      writer.signed64(immediates.bigint as bigint)
      break
    case 'f32':
      writer.float32(immediates.number as number)
      break
    case 'f64':
      writer.float64(immediates.number as number)
      break
    case 'twoZeros':
      writer.byte(0)
      writer.byte(0)
      break
    case 'zero':
      writer.byte(0)
      break
  }
}

/** The run-length encoded local declarations and the body, as the code section holds them. */
export function encodeFunction(code: FunctionCode): Uint8Array {
  const groups: { type: ValueType; count: number }[] = []
  for (const type of code.localTypes) {
    const last = groups.at(-1)
    if (last?.type === type) last.count++
    else groups.push({ type, count: 1 })
  }
  const writer = new ByteWriter(code.body.length + 16)
  writer.unsigned(groups.length)
  for (const group of groups) {
    writer.unsigned(group.count)
    writer.byte(valueTypeCode[group.type])
  }
  writer.bytes(code.body)
  return writer.toBytes()
}
