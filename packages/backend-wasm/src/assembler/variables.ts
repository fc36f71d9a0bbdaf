import { AssemblerError } from './errors.ts'
import type { Operand } from './expression.ts'
import { Expression, instruction, toExpression } from './expression.ts'
import type { Parameters, ResultType, ValueType } from './types.ts'

const localGet = instruction('local.get', 0, 0x20, 'index')
const localTee = instruction('local.tee', 0, 0x22, 'index')
const globalGet = instruction('global.get', 0, 0x23, 'index')
const selectOp = instruction('select', 0, 0x1b)
const callOp = instruction('call', 0, 0x10, 'index')
const callIndirectOp = instruction('call_indirect', 0, 0x11, 'indirect')
const memorySizeOp = instruction('memory.size', 0, 0x3f, 'zero')
const memoryGrowOp = instruction('memory.grow', 0, 0x40, 'zero')
export const localSet = instruction('local.set', 0, 0x21, 'index')
export const globalSet = instruction('global.set', 0, 0x24, 'index')

/** A local variable or parameter of one function. Used as an expression it reads the variable. */
export class Local<Type extends ValueType> extends Expression<Type> {
  readonly index: number
  readonly name: string
  /** Identity of the function that owns the local. */
  readonly owner: object
  /** True once the scope that declared the local has ended and its slot may serve another local. */
  released = false

  constructor(type: Type, index: number, name: string, owner: object) {
    super(type, localGet, [], { index })
    this.index = index
    this.name = name
    this.owner = owner
  }
}

/** A module-level variable. Used as an expression it reads the variable. */
export class Global<Type extends ValueType> extends Expression<Type> {
  readonly index: number
  readonly mutable: boolean

  constructor(type: Type, index: number, mutable: boolean) {
    super(type, globalGet, [], { index })
    this.index = index
    this.mutable = mutable
  }
}

/** A function type; its index is that of the module's type section. */
export interface Signature<P extends Parameters = Parameters, R extends ResultType = ResultType> {
  readonly parameters: P
  readonly result: R
  readonly typeIndex: number
}

/** A function of the module, imported or defined, as a target of calls. */
export interface FunctionHandle<P extends Parameters = Parameters, R extends ResultType = ResultType>
  extends Signature<P, R> {
  readonly name: string
  readonly index: number
}

/** Arguments by parameter name. */
export type Arguments<P extends Parameters> = { readonly [Name in keyof P]: Operand<P[Name]> }

function argumentList<P extends Parameters>(
  parameters: P,
  given: Arguments<P>,
  place: string,
): Expression<ValueType>[] {
  const list: Expression<ValueType>[] = []
  for (const name of Object.keys(parameters)) {
    const value = given[name]
    if (value === undefined) throw new AssemblerError(`${place} ${name}: the argument is missing`)
    list.push(toExpression(parameters[name] as ValueType, value as Operand<ValueType>, place, name))
  }
  return list
}

/** The result of calling a function with arguments by name. */
export function call<P extends Parameters, R extends ResultType>(
  target: FunctionHandle<P, R>,
  given: Arguments<P>,
): Expression<R> {
  return new Expression(target.result, callOp, argumentList(target.parameters, given, `call ${target.name},`), {
    index: target.index,
  })
}

/** The result of calling entry `element` of the module's table, which must have this signature. */
export function callIndirect<P extends Parameters, R extends ResultType>(
  signature: Signature<P, R>,
  element: Operand<'i32'>,
  given: Arguments<P>,
): Expression<R> {
  const operands = argumentList(signature.parameters, given, 'call_indirect,')
  operands.push(toExpression('i32', element, 'call_indirect'))
  return new Expression(signature.result, callIndirectOp, operands, { index: signature.typeIndex })
}

/** Sets a local and gives the value set. */
export function tee<Type extends ValueType>(local: Local<Type>, value: Operand<Type>): Expression<Type> {
  return new Expression(local.type, localTee, [toExpression(local.type, value, 'local.tee', local.name)], {
    index: local.index,
  })
}

/** `whenTrue` if the condition is not zero, else `whenFalse`. Both are computed, before the condition. */
export function select<Type extends ValueType>(
  condition: Operand<'i32'>,
  whenTrue: Expression<Type>,
  whenFalse: Expression<Type>,
): Expression<Type> {
  const type = whenTrue.type
  if (type === 'v128') {
    throw new AssemblerError('select: vectors need v128.bitselect or an if')
  }
  return new Expression(type, selectOp, [
    toExpression(type, whenTrue as Operand<Type>, 'select'),
    toExpression(type, whenFalse as Operand<Type>, 'select'),
    toExpression('i32', condition, 'select'),
  ])
}

/** The size of the memory in pages of 64 KiB. */
export function memorySize(): Expression<'i32'> {
  return new Expression('i32', memorySizeOp)
}

/** Grows the memory by a number of pages: the old size in pages, or −1. */
export function memoryGrow(pages: Operand<'i32'>): Expression<'i32'> {
  return new Expression('i32', memoryGrowOp, [toExpression('i32', pages, 'memory.grow')])
}
