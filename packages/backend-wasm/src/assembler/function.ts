import { atomicEffect } from './atomics.ts'
import { ByteWriter } from './bytes.ts'
import type { FunctionCode } from './encode.ts'
import { writeCode, writeInstruction } from './encode.ts'
import { AssemblerError } from './errors.ts'
import type { Instruction, Operand } from './expression.ts'
import { constantOf, type Expression, instruction, toExpression } from './expression.ts'
import { i32, scalarStore } from './scalar.ts'
import type { Parameters, ResultType, ValueType } from './types.ts'
import type { Arguments, FunctionHandle, Global } from './variables.ts'
import { call, globalSet, Local, localSet } from './variables.ts'
import { vectorStore } from './vector.ts'

const blockOp = instruction('block', 0, 0x02)
const loopOp = instruction('loop', 0, 0x03)
const ifOp = instruction('if', 0, 0x04)
const elseOp = instruction('else', 0, 0x05)
const endOp = instruction('end', 0, 0x0b)
const branchOp = instruction('br', 0, 0x0c, 'index')
const branchIfOp = instruction('br_if', 0, 0x0d, 'index')
const returnOp = instruction('return', 0, 0x0f)
const dropOp = instruction('drop', 0, 0x1a)
const unreachableOp = instruction('unreachable', 0, 0x00)
const memoryCopyOp = instruction('memory.copy', 0xfc, 10, 'twoZeros')
const memoryFillOp = instruction('memory.fill', 0xfc, 11, 'zero')

/** A block or loop that branches can name. Branching to a loop continues it, to a block leaves it. */
export interface Label {
  readonly owner: object
  readonly depth: number
  open: boolean
}

/** A place in the body of a function where code can still be inserted, made by `insertionPoint`. */
export interface InsertionPoint {
  readonly owner: object
  readonly writer: ByteWriter
  readonly scope: Local<ValueType>[]
  readonly depth: number
}

/**
 * Emits the body of one function. Statements are methods (`set`, `store`, `if`, `loop`, …) and take effect in the order of the calls;
 * values are expressions (`i32.add(pointer, 4)`), emitted where they are used.
 */
export class FunctionBuilder<P extends Parameters = Parameters, R extends ResultType = ResultType> {
  readonly name: string
  readonly parameters: { readonly [Name in keyof P]: Local<P[Name]> }
  readonly #result: R
  readonly #parameterCount: number
  readonly #localTypes: ValueType[] = []
  readonly #localNames: string[] = []
  readonly #free: Record<ValueType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] }
  readonly #writers: ByteWriter[] = []
  #writer = new ByteWriter(256)
  #scope: Local<ValueType>[] = []
  #depth = 0
  #inserting = false

  constructor(name: string, parameters: P, result: R) {
    this.name = name
    this.#result = result
    const locals: Record<string, Local<ValueType>> = {}
    let index = 0
    for (const [parameter, type] of Object.entries(parameters)) {
      locals[parameter] = new Local(type, index++, parameter, this)
      this.#localNames.push(parameter)
    }
    this.parameters = locals as { readonly [Name in keyof P]: Local<P[Name]> }
    this.#parameterCount = index
    this.#writers.push(this.#writer)
  }

  // Locals

  /**
   * A local variable that lives until the enclosing body (of a loop, block, if or `scope`) ends; its slot is then reused.
   * Without an initial value its content is unspecified.
   */
  local<Type extends ValueType>(type: Type, name: string, initial?: Operand<Type>): Local<Type> {
    // Inserted code runs before code that is already emitted, which may use any slot that is free by now.
    const free = this.#inserting ? undefined : this.#free[type].pop()
    const index = free ?? this.#parameterCount + this.#localTypes.push(type) - 1
    if (free === undefined) this.#localNames.push(name)
    const local = new Local(type, index, name, this)
    this.#scope.push(local)
    if (initial !== undefined) this.set(local, initial)
    return local
  }

  /** Several locals of one type. */
  locals<Type extends ValueType>(type: Type, count: number, name: string): Local<Type>[] {
    return Array.from({ length: count }, (_, i) => this.local(type, `${name}${i}`))
  }

  /** Runs `body`; locals declared in it are released at its end. */
  scope(body: () => void): void {
    const outer = this.#scope
    const inner: Local<ValueType>[] = []
    this.#scope = inner
    body()
    for (const local of inner) {
      local.released = true
      this.#free[local.type].push(local.index)
    }
    this.#scope = outer
  }

  set<Type extends ValueType>(local: Local<Type>, value: Operand<Type>): void {
    this.#emit(toExpression(local.type, value, 'local.set', local.name))
    this.#checkLocal(local)
    this.#code(localSet)
    this.#writer.unsigned(local.index)
  }

  /** Adds to an i32 local, as pointers and counters need. */
  increment(local: Local<'i32'>, amount: Operand<'i32'>): void {
    if (constantOf(amount) !== 0) this.set(local, i32.add(local, amount))
  }

  setGlobal<Type extends ValueType>(global: Global<Type>, value: Operand<Type>): void {
    if (!global.mutable) throw new AssemblerError('global.set: the global is not mutable')
    this.#emit(toExpression(global.type, value, 'global.set'))
    this.#code(globalSet)
    this.#writer.unsigned(global.index)
  }

  // Memory

  /** Stores a value of the named type at a byte address plus a constant offset. */
  store<Type extends ValueType>(type: Type, address: Operand<'i32'>, value: Operand<Type>, offset = 0): void {
    // Each table entry takes the value of its own type, which the compiler cannot follow through the index.
    const make = (type === 'v128' ? vectorStore.v128 : scalarStore[type as 'i32']) as (
      address: Operand<'i32'>,
      value: Operand<Type>,
      offset: number,
    ) => Expression<'void'>
    this.#emit(make(address, value, offset))
  }

  /** Stores the low byte of an i32. */
  store8(address: Operand<'i32'>, value: Operand<'i32'>, offset = 0): void {
    this.#emit(scalarStore.i32As8(address, value, offset))
  }

  /** Stores the low two bytes of an i32. */
  store16(address: Operand<'i32'>, value: Operand<'i32'>, offset = 0): void {
    this.#emit(scalarStore.i32As16(address, value, offset))
  }

  /** Stores one lane of a vector; `bits` is the width of the lane. */
  storeLane(
    bits: 8 | 16 | 32 | 64,
    address: Operand<'i32'>,
    vector: Expression<'v128'>,
    lane: number,
    offset = 0,
  ): void {
    this.#emit(vectorStore[`lane${bits}`](address, vector, lane, offset))
  }

  atomicStore(address: Operand<'i32'>, value: Operand<'i32'>, offset = 0): void {
    this.#emit(atomicEffect.store(address, value, offset))
  }

  fence(): void {
    this.#emit(atomicEffect.fence())
  }

  /** Copies bytes; the ranges may overlap. */
  memoryCopy(destination: Operand<'i32'>, source: Operand<'i32'>, bytes: Operand<'i32'>): void {
    this.#operands(memoryCopyOp, destination, source, bytes)
    this.#writer.byte(0)
    this.#writer.byte(0)
  }

  /** Sets bytes to a value. */
  memoryFill(destination: Operand<'i32'>, value: Operand<'i32'>, bytes: Operand<'i32'>): void {
    this.#operands(memoryFillOp, destination, value, bytes)
    this.#writer.byte(0)
  }

  // Calls and effects

  /** Calls a function and drops its result, if any. For the result use the expression `call(target, arguments)`. */
  call<Q extends Parameters, S extends ResultType>(target: FunctionHandle<Q, S>, given: Arguments<Q>): void {
    this.run(call(target, given))
  }

  /** Evaluates an expression for its effect and drops its value, if any. */
  run(expression: Expression<ResultType>): void {
    this.#emit(expression)
    if (expression.type !== 'void') this.#code(dropOp)
  }

  /** Returns from the function, with a value if it has a result. */
  return(...value: R extends ValueType ? [Operand<R>] : []): void {
    const result: ResultType = this.#result
    if (result !== 'void') {
      if (value.length !== 1) throw new AssemblerError(`return: expected a value of type ${result}`)
      this.#emit(toExpression(result, value[0] as Operand<ValueType>, 'return'))
    } else if (value.length !== 0) throw new AssemblerError('return: the function has no result')
    this.#code(returnOp)
  }

  unreachable(): void {
    this.#code(unreachableOp)
  }

  // Control

  /** A block; branching to its label leaves it. */
  block(body: (leave: Label) => void): void {
    this.#nested(blockOp, body)
  }

  /** A loop; it ends unless its body branches to its label, which starts the next round. */
  loop(body: (next: Label) => void): void {
    this.#nested(loopOp, body)
  }

  branch(label: Label): void {
    const distance = this.#distance(label, 'br')
    this.#code(branchOp)
    this.#writer.unsigned(distance)
  }

  branchIf(label: Label, condition: Operand<'i32'>): void {
    this.#emit(toExpression('i32', condition, 'br_if'))
    const distance = this.#distance(label, 'br_if')
    this.#code(branchIfOp)
    this.#writer.unsigned(distance)
  }

  if(condition: Operand<'i32'>, then: () => void, otherwise?: () => void): void {
    this.#emit(toExpression('i32', condition, 'if'))
    this.#code(ifOp)
    this.#writer.byte(0x40)
    this.#depth++
    this.scope(then)
    if (otherwise) {
      this.#code(elseOp)
      this.scope(otherwise)
    }
    this.#depth--
    this.#code(endOp)
  }

  /** Runs the body while the condition, tested before each round, is not zero. `leave` ends the loop. */
  while(condition: Operand<'i32'>, body: (leave: Label) => void): void {
    const test = toExpression('i32', condition, 'while')
    this.block((leave) => {
      this.branchIf(leave, i32.eqz(test))
      this.loop((next) => {
        body(leave)
        this.branchIf(next, test)
      })
    })
  }

  /** Runs the body `count` times; not at all if the count is not positive. */
  repeat(count: Operand<'i32'>, body: (leave: Label) => void): void {
    this.scope(() => {
      const rest = this.local('i32', 'rest', count)
      const isPositive = i32.gtS(rest, 0)
      this.while(isPositive, (leave) => {
        body(leave)
        this.set(rest, i32.sub(rest, 1))
      })
    })
  }

  /**
   * Runs the body for index = start, start + step, … while index < end (signed). An `end` that is a local is read again each round,
   * any other expression is evaluated once. The step must be positive.
   */
  forRange(
    start: Operand<'i32'>,
    end: Operand<'i32'>,
    step: Operand<'i32'>,
    body: (index: Local<'i32'>, leave: Label) => void,
    name = 'index',
  ): void {
    this.scope(() => {
      const index = this.local('i32', name, start)
      const fixed = constantOf(end) !== undefined || end instanceof Local
      const limit = fixed ? end : this.local('i32', `${name}End`, end)
      this.while(i32.ltS(index, limit), (leave) => {
        body(index, leave)
        this.increment(index, step)
      })
    })
  }

  // Insertion

  /** Marks this place in the body, so that code found necessary later (loads of constants before a loop) can be put here. */
  insertionPoint(): InsertionPoint {
    if (this.#inserting) throw new AssemblerError('insertionPoint: not inside inserted code')
    const writer = new ByteWriter()
    this.#writer = new ByteWriter(256)
    this.#writers.push(writer, this.#writer)
    return { owner: this, writer, scope: this.#scope, depth: this.#depth }
  }

  /** Emits the statements of `body` at an insertion point, after what was inserted there before. Its locals live as long as the scope of the point. */
  insertAt<Result>(point: InsertionPoint, body: () => Result): Result {
    if (point.owner !== this) throw new AssemblerError('insertAt: the insertion point belongs to another function')
    const { writer, scope, depth, inserting } = {
      writer: this.#writer,
      scope: this.#scope,
      depth: this.#depth,
      inserting: this.#inserting,
    }
    this.#writer = point.writer
    this.#scope = point.scope
    this.#depth = point.depth
    this.#inserting = true
    const result = body()
    this.#writer = writer
    this.#scope = scope
    this.#depth = depth
    this.#inserting = inserting
    return result
  }

  /** Ends the function. Called by the module builder. */
  finish(): FunctionCode {
    // The end of a body with a result is never reached: it returns by `return`.
    if (this.#result !== 'void') this.#code(unreachableOp)
    this.#code(endOp)
    const body = new ByteWriter(this.#writers.reduce((sum, writer) => sum + writer.length, 0))
    for (const writer of this.#writers) body.bytes(writer.view())
    return { localTypes: this.#localTypes, localNames: this.#localNames, body: body.toBytes() }
  }

  // Emission

  #nested(op: Instruction, body: (label: Label) => void): void {
    this.#code(op)
    this.#writer.byte(0x40)
    this.#depth++
    const label: Label = { owner: this, depth: this.#depth, open: true }
    this.scope(() => body(label))
    label.open = false
    this.#depth--
    this.#code(endOp)
  }

  #distance(label: Label, place: string): number {
    if (label.owner !== this || !label.open)
      throw new AssemblerError(`${place}: the label is not an enclosing block or loop`)
    return this.#depth - label.depth
  }

  #operands(op: Instruction, ...operands: Operand<'i32'>[]): void {
    for (const operand of operands) this.#emit(toExpression('i32', operand, op.name))
    this.#code(op)
  }

  #code(op: Instruction): void {
    writeCode(this.#writer, op)
  }

  #checkLocal(local: Local<ValueType>): void {
    if (local.owner !== this) throw new AssemblerError(`local '${local.name}' belongs to another function`)
    if (local.released) throw new AssemblerError(`local '${local.name}' is used after the end of its scope`)
  }

  #emit(expression: Expression<ResultType>): void {
    if (expression instanceof Local) this.#checkLocal(expression)
    const operands = expression.operands
    for (let i = 0; i < operands.length; i++) this.#emit(operands[i]!)
    writeInstruction(this.#writer, expression)
  }
}
