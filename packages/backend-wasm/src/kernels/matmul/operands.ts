import type { Expression, FunctionBuilder, Local, ModuleBuilder } from '../../assembler/index.ts'
import { i32 } from '../../assembler/index.ts'
import { strideBytes, word } from './descriptor.ts'
import { type ElementFormat, emitWiden } from './elements.ts'
import type { partParameters } from './tiles.ts'
import type { MatmulTuning } from './tuning.ts'

export type PartBuilder = FunctionBuilder<typeof partParameters, 'void'>

/** Steps between elements of C and of what is added to it, in bytes, as locals. */
export interface Steps {
  readonly cRow: Local<'i32'>
  readonly cColumn: Local<'i32'>
  readonly addendRow: Local<'i32'>
  readonly addendColumn: Local<'i32'>
}

/** Loads the steps; afterwards the parameter `addend` is the address of what is added to the product (a zero, if nothing is). */
export function prepareAddend(fn: PartBuilder): Steps {
  const { descriptor, addend, c, scratch } = fn.parameters
  const steps: Steps = {
    cRow: fn.local('i32', 'cRow', strideBytes(descriptor, 'cRowStride')),
    cColumn: fn.local('i32', 'cColumn', strideBytes(descriptor, 'cColumnStride')),
    addendRow: fn.local('i32', 'addendRow', strideBytes(descriptor, 'addendRowStride')),
    addendColumn: fn.local('i32', 'addendColumn', strideBytes(descriptor, 'addendColumnStride')),
  }
  fn.if(i32.eqz(word(descriptor, 'addendKind')), () => {
    fn.store('f32', scratch, 0)
    fn.set(addend, scratch)
    fn.set(steps.addendRow, 0)
    fn.set(steps.addendColumn, 0)
  })
  fn.if(i32.eq(word(descriptor, 'addendKind'), 2), () => {
    fn.set(addend, c)
    fn.set(steps.addendRow, steps.cRow)
    fn.set(steps.addendColumn, steps.cColumn)
  })
  return steps
}

/** How the methods for few rows read A: in place, or, if it is narrow, from rows that are widened first. */
export interface RowsOfA {
  /** Ends the names of functions. */
  readonly suffix: string
  /** Afterwards the parameter `a` is the address of rows of f32. */
  prepare(fn: PartBuilder): void
  /** Steps between their rows and columns, in bytes. */
  step(descriptor: Local<'i32'>): Expression<'i32'>
  columnStep(descriptor: Local<'i32'>): Expression<'i32'>
}

export function emitRows(module: ModuleBuilder, { variant }: MatmulTuning, format: ElementFormat): RowsOfA {
  if (format === 'f32') {
    return {
      suffix: '',
      prepare: () => undefined,
      step: (descriptor) => strideBytes(descriptor, 'aRowStride'),
      columnStep: (descriptor) => strideBytes(descriptor, 'aColumnStride'),
    }
  }
  const widen = emitWiden(module, variant, format)
  return {
    suffix: `-${format}`,
    prepare(fn) {
      const { descriptor, a, scratch, m } = fn.parameters
      const destination = fn.local('i32', 'widened', i32.add(scratch, word(descriptor, 'aScratch')))
      fn.call(widen, {
        source: a,
        rowStep: strideBytes(descriptor, 'aRowStride', format),
        columnStep: strideBytes(descriptor, 'aColumnStride', format),
        rows: m,
        columns: word(descriptor, 'k'),
        destination,
      })
      fn.set(a, destination)
    },
    step: (descriptor) => i32.shl(word(descriptor, 'k'), 2),
    columnStep: () => i32.const(4),
  }
}

/** Exchanges A and B where the plan says so. */
export function emitSwap(
  fn: Pick<FunctionBuilder, 'if' | 'local' | 'set'>,
  { descriptor, a, b }: Record<'descriptor' | 'a' | 'b', Local<'i32'>>,
): void {
  fn.if(word(descriptor, 'swapped'), () => {
    const first = fn.local('i32', 'first', a)
    fn.set(a, b)
    fn.set(b, first)
  })
}
