import { AssemblerError } from './errors.ts'
import type { ResultType, ValueType } from './types.ts'

/** Which immediates follow an opcode in the binary format. */
export type ImmediateKind =
  | 'none'
  | 'memory' // alignment, offset
  | 'memoryLane' // alignment, offset, lane
  | 'lane'
  | 'lanes' // 16 lane indices or constant bytes
  | 'index' // local, global, function or label
  | 'indirect' // type, table
  | 'i32'
  | 'i64'
  | 'f32'
  | 'f64'
  | 'zero' // one reserved zero byte
  | 'twoZeros'

/** One instruction of WebAssembly: its name in the text format, its encoding and its types. */
export interface Instruction {
  readonly name: string
  /** 0 for one-byte opcodes, else 0xfc, 0xfd or 0xfe. */
  readonly prefix: number
  readonly opcode: number
  readonly immediate: ImmediateKind
  /** log2 of the alignment written with a memory access. */
  readonly alignment: number
}

const instructions = new Map<number, Instruction>()

/** Registers an instruction, so that the printer can name it. */
export function instruction(
  name: string,
  prefix: number,
  opcode: number,
  immediate: ImmediateKind = 'none',
  alignment = 0,
): Instruction {
  const entry: Instruction = { name, prefix, opcode, immediate, alignment }
  instructions.set(prefix * 0x1000 + opcode, entry)
  return entry
}

/** The instruction with this encoding, if it is one the assembler knows. */
export function findInstruction(prefix: number, opcode: number): Instruction | undefined {
  return instructions.get(prefix * 0x1000 + opcode)
}

/** All instructions that the assembler knows. */
export function allInstructions(): readonly Instruction[] {
  return [...instructions.values()]
}

/** The immediates of one use of an instruction; which of them count follows from `ImmediateKind`. */
export interface Immediates {
  readonly index?: number
  readonly offset?: number
  readonly lane?: number
  readonly bytes?: readonly number[]
  readonly number?: number
  readonly bigint?: bigint
}

const noOperands: readonly Expression<ValueType>[] = []
const noImmediates: Immediates = {}

/**
 * A recipe for one value (or for an effect, type 'void'): an instruction with its operands.
 * It is emitted anew at every place where it is used, and reads locals as they are *there*; keep what should be
 * computed once in a local.
 */
export class Expression<Type extends ResultType> {
  readonly type: Type
  readonly instruction: Instruction
  readonly operands: readonly Expression<ValueType>[]
  readonly immediates: Immediates

  constructor(type: Type, op: Instruction, operands = noOperands, immediates = noImmediates) {
    this.type = type
    this.instruction = op
    this.operands = operands
    this.immediates = immediates
  }
}

/** What may stand where a value of a type is expected: an expression or, for scalar types, a plain number. */
export type Operand<Type extends ValueType> =
  | Expression<Type>
  | (Type extends 'i32' | 'f32' | 'f64' ? number : Type extends 'i64' ? bigint : never)

const i32Const = instruction('i32.const', 0, 0x41, 'i32')
const i64Const = instruction('i64.const', 0, 0x42, 'i64')
const f32Const = instruction('f32.const', 0, 0x43, 'f32')
const f64Const = instruction('f64.const', 0, 0x44, 'f64')

/**
 * Turns an operand into an expression of the given type; numbers become constants.
 * @param place what the operand is for, and `name` which one it is: parts of the message of an error
 */
export function toExpression<Type extends ValueType>(
  type: Type,
  operand: Operand<Type>,
  place: string,
  name?: string,
): Expression<Type> {
  if (operand instanceof Expression && operand.type === type) return operand as Expression<Type>
  if (typeof operand === 'number') {
    if (type === 'i32' && Number.isInteger(operand) && operand >= -0x80000000 && operand <= 0xffffffff) {
      return new Expression(type, i32Const, noOperands, { number: operand })
    }
    if (type === 'f32') return new Expression(type, f32Const, noOperands, { number: operand })
    if (type === 'f64') return new Expression(type, f64Const, noOperands, { number: operand })
  }
  if (typeof operand === 'bigint' && type === 'i64') {
    return new Expression(type, i64Const, noOperands, { bigint: operand })
  }
  const full = name === undefined ? place : `${place} ${name}`
  if (type === 'i32' && typeof operand === 'number')
    throw new AssemblerError(`${full}: ${operand} is not a 32-bit integer`)
  const got = operand instanceof Expression ? `${operand.type} (${operand.instruction.name})` : String(operand)
  throw new AssemblerError(`${full}: expected ${type}, got ${got}`)
}

/** The value of a constant i32 expression or number, else undefined. */
export function constantOf(operand: Operand<'i32'>): number | undefined {
  if (typeof operand === 'number') return operand
  return operand.instruction === i32Const ? operand.immediates.number : undefined
}

// The constructors below turn table rows such as `add: binary('i32.add', 0, 0x6a, 'i32', 'i32')` into typed functions.

export function unary<A extends ValueType, R extends ValueType>(
  name: string,
  prefix: number,
  opcode: number,
  a: A,
  result: R,
) {
  const op = instruction(name, prefix, opcode)
  return (value: Operand<A>): Expression<R> => new Expression(result, op, [toExpression(a, value, name)])
}

export function binary<A extends ValueType, R extends ValueType>(
  name: string,
  prefix: number,
  opcode: number,
  a: A,
  result: R,
) {
  const op = instruction(name, prefix, opcode)
  return (left: Operand<A>, right: Operand<A>): Expression<R> =>
    new Expression(result, op, [toExpression(a, left, name), toExpression(a, right, name)])
}

export function ternary<A extends ValueType>(name: string, prefix: number, opcode: number, a: A) {
  const op = instruction(name, prefix, opcode)
  return (first: Operand<A>, second: Operand<A>, third: Operand<A>): Expression<A> =>
    new Expression(a, op, [toExpression(a, first, name), toExpression(a, second, name), toExpression(a, third, name)])
}

/** `load(address, offset)`: the address is in bytes, the offset a constant number of bytes. */
export function load<R extends ValueType>(name: string, prefix: number, opcode: number, result: R, alignment: number) {
  const op = instruction(name, prefix, opcode, 'memory', alignment)
  return (address: Operand<'i32'>, offset = 0): Expression<R> =>
    new Expression(result, op, [toExpression('i32', address, name)], { offset: checkOffset(name, offset) })
}

/** `store(address, value, offset)` as an effect. */
export function store<A extends ValueType>(name: string, prefix: number, opcode: number, value: A, alignment: number) {
  const op = instruction(name, prefix, opcode, 'memory', alignment)
  return (address: Operand<'i32'>, stored: Operand<A>, offset = 0): Expression<'void'> =>
    new Expression('void', op, [toExpression('i32', address, name), toExpression(value, stored, name)], {
      offset: checkOffset(name, offset),
    })
}

/** Refuses a constant address offset that the binary format cannot hold. */
export function checkOffset(name: string, offset: number): number {
  if (Number.isInteger(offset) && offset >= 0 && offset <= 0xffffffff) return offset
  throw new AssemblerError(`${name}: the constant offset must be an integer from 0 to 2^32 - 1, got ${offset}`)
}

/** Refuses a lane index outside a vector. */
export function checkLane(name: string, lane: number, lanes: number): number {
  if (Number.isInteger(lane) && lane >= 0 && lane < lanes) return lane
  throw new AssemblerError(`${name}: lane must be an integer from 0 to ${lanes - 1}, got ${lane}`)
}
