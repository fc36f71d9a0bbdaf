import type { FunctionBuilder, Local } from '../../assembler/index.ts'
import { i32 } from '../../assembler/index.ts'
import { strideBytes, word } from './descriptor.ts'
import type { partParameters } from './tiles.ts'

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
