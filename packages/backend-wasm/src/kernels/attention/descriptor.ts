import type { Expression, FunctionBuilder, Local, Operand } from '../../assembler/index.ts'
import { i32 } from '../../assembler/index.ts'
import { frameTemplateWords } from './frame.ts'

/** Operands of dense attention and its gradient that have a row for each query or key. */
export const operandNames = [
  'query',
  'key',
  'value',
  'output',
  'logarithm',
  'projection',
  'gradient',
  'queryGradient',
  'keyGradient',
  'valueGradient',
] as const
export type OperandName = (typeof operandNames)[number]

/** The most batch axes that a call may have after joining. */
export const mostBatchAxes = 3

const sizeWords = [
  'queries',
  'keys',
  /** Groups of queries of one head. */
  'groups',
  /** Runs of keys that threads share in the backward pass, and the keys of each. */
  'ranges',
  'rangeKeys',
  /** Position of the first query where no operand says it. */
  'position',
  'hasPosition',
  /** Largest distance of a key that is visible. */
  'highest',
  'heads',
  'batch1',
  'batch2',
] as const
type SizeWord = (typeof sizeWords)[number]

/** The words of a call: the template of the frame, sizes, then for each operand the byte steps of its batch axes and rows. */
const strideWords = mostBatchAxes + 1
const wordCount = frameTemplateWords + sizeWords.length + strideWords * operandNames.length

export interface OperandSteps {
  readonly row: number
  readonly batch: readonly number[]
}

export function encodeDescriptor(
  template: Int32Array,
  sizes: Readonly<Record<SizeWord, number>>,
  operands: { readonly [Name in OperandName]?: OperandSteps },
): Int32Array {
  const words = new Int32Array(wordCount)
  words.set(template)
  words.set(
    sizeWords.map((name) => sizes[name]),
    frameTemplateWords,
  )
  operandNames.forEach((name, i) => {
    const steps = operands[name]
    if (!steps) return
    const batch = [...new Array<number>(mostBatchAxes - steps.batch.length).fill(0), ...steps.batch]
    words.set([...batch, steps.row], frameTemplateWords + sizeWords.length + strideWords * i)
  })
  return words
}

export function size(descriptor: Operand<'i32'>, name: SizeWord): Expression<'i32'> {
  return i32.load(descriptor, 4 * (frameTemplateWords + sizeWords.indexOf(name)))
}

function stepWord(descriptor: Operand<'i32'>, name: OperandName, index: number): Expression<'i32'> {
  const first = frameTemplateWords + sizeWords.length + strideWords * operandNames.indexOf(name)
  return i32.load(descriptor, 4 * (first + index))
}

/** Bytes from one row of an operand to the next. */
export function rowStep(descriptor: Operand<'i32'>, name: OperandName): Expression<'i32'> {
  return stepWord(descriptor, name, mostBatchAxes)
}

/** Addresses of the operands' parts of one head. */
export function headAddresses<Name extends OperandName>(
  fn: FunctionBuilder,
  descriptor: Local<'i32'>,
  operands: Readonly<Record<Name, Operand<'i32'>>>,
  head: Operand<'i32'>,
): Record<Name, Local<'i32'>> {
  const names = Object.keys(operands) as Name[]
  const addresses = Object.fromEntries(names.map((name) => [name, fn.local('i32', name, operands[name])]))
  const index = fn.local('i32', 'index', head)
  for (const axis of [2, 1, 0] as const) {
    const extent = axis === 0 ? undefined : fn.local('i32', 'extent', size(descriptor, `batch${axis}`))
    const at = fn.local('i32', 'at', extent ? i32.remU(index, extent) : index)
    for (const name of names) fn.increment(addresses[name]!, i32.mul(at, stepWord(descriptor, name, axis)))
    if (extent) fn.set(index, i32.divU(index, extent))
  }
  return addresses as Record<Name, Local<'i32'>>
}

/** Position of the first query among the keys. */
export function firstPosition(fn: FunctionBuilder, descriptor: Local<'i32'>, position: Local<'i32'>): Local<'i32'> {
  const first = fn.local('i32', 'first', size(descriptor, 'position'))
  fn.if(size(descriptor, 'hasPosition'), () => fn.set(first, i32.load(position)))
  return first
}
