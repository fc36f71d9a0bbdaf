import { type FunctionHandle, i32, type ModuleBuilder, type Variant, v128 } from '@tessera/backend-wasm'
import type { LinearProgram } from '../generator/linear-program.ts'
import { entryBytes, loadColumns, patchBytes, readSquares, storeColumns, writeSquares } from './lanes.ts'
import { emitLinear, loadFactors } from './linear.ts'

/** Bytes of scratch that transforms of at most `size` need: the patch, then what one pass of eight squares hands to the other. */
export const transformScratchBytes = (size: number): number => patchBytes(size) + 32 * size * size

const toProductsParameters = {
  /** The entries of four squares. */
  table: 'i32',
  plane: 'i32',
  rowStep: 'i32',
  scratch: 'i32',
  /** Where the first product's operands of the four squares go, and the step to the next product's. */
  target: 'i32',
  productStep: 'i32',
} as const

export type ToProductsFunction = FunctionHandle<typeof toProductsParameters, 'void'>

/**
 * Emits a transform `T d Tᵀ` of four squares at once, one in each lane, to the operands of α² products: vector (y, x) goes to
 * `target + (α · y + x) · productStep`. The rows are transformed first.
 *
 * @param groups with 2, eight squares, whose entries follow one another, to two adjacent vectors each: V8's revectoriser makes one of two in the second pass. That pass
 * is written out, since a local that is set in a loop counts there as a use outside of pairs.
 */
export function emitToProducts(
  module: ModuleBuilder,
  name: string,
  variant: Variant,
  program: LinearProgram,
  groups: 1 | 2 = 1,
): ToProductsFunction {
  const from = program.inputs
  const to = program.outputs.length
  const parts = groups === 2 ? [0, 16] : [0]
  const bytes = 16 * groups
  return module.function(name, toProductsParameters, 'void', (fn, parameters) => {
    const { table, plane, rowStep, scratch, target, productStep } = parameters
    const factors = loadFactors(fn, program)
    const middle = fn.local('i32', 'middle', i32.add(scratch, patchBytes(from)))
    for (const part of parts) {
      fn.scope(() => {
        const squares = readSquares(fn, from, { table, plane, rowStep, patch: scratch })
        const into = fn.local('i32', 'into', middle)
        fn.repeat(from, () => {
          const columns = loadColumns(fn, squares.pointers, from).map((column) => fn.local('v128', 'column', column))
          emitLinear(fn, variant, program, factors, columns).forEach((value, i) => {
            fn.store('v128', into, value, bytes * i + part)
          })
          for (const pointer of squares.pointers) fn.increment(pointer, squares.rowStep)
          fn.increment(into, bytes * to)
        })
        fn.increment(table, 4 * entryBytes)
      })
    }
    const rowOfProducts = fn.local('i32', 'rowOfProducts', i32.mul(productStep, to))
    for (let x = 0; x < to; x++) {
      fn.scope(() => {
        const column = (part: number) =>
          Array.from({ length: from }, (_, y) =>
            fn.local('v128', 'value', v128.load(middle, bytes * (to * y + x) + part)),
          )
        const results = parts.map(column).map((values) => emitLinear(fn, variant, program, factors, values))
        const product = fn.local('i32', 'product', target)
        for (let y = 0; y < to; y++) {
          if (y > 0) fn.increment(product, rowOfProducts)
          parts.forEach((part, i) => {
            fn.store('v128', product, results[i]![y]!, part)
          })
        }
        fn.increment(target, productStep)
      })
    }
  })
}

const fromProductsParameters = {
  /** The first product's results for four squares, and the step to the next product's. */
  source: 'i32',
  productStep: 'i32',
  table: 'i32',
  plane: 'i32',
  rowStep: 'i32',
  scratch: 'i32',
} as const

export type FromProductsFunction = FunctionHandle<typeof fromProductsParameters, 'void'>

/** Emits the transform `T m Tᵀ` of the results of α² products back to four squares, one in each lane. */
export function emitFromProducts(
  module: ModuleBuilder,
  name: string,
  variant: Variant,
  program: LinearProgram,
): FromProductsFunction {
  const from = program.inputs
  const to = program.outputs.length
  return module.function(name, fromProductsParameters, 'void', (fn, parameters) => {
    const { source, productStep, scratch } = parameters
    const factors = loadFactors(fn, program)
    const middle = fn.local('i32', 'middle', i32.add(scratch, patchBytes(to)))
    const into = fn.local('i32', 'into', middle)
    const rowOfProducts = fn.local('i32', 'rowOfProducts', i32.mul(productStep, from))
    fn.repeat(from, () => {
      const product = fn.local('i32', 'product', source)
      const values = Array.from({ length: from }, (_, i) => {
        if (i > 0) fn.increment(product, rowOfProducts)
        return fn.local('v128', 'value', v128.load(product))
      })
      emitLinear(fn, variant, program, factors, values).forEach((value, i) => {
        fn.store('v128', into, value, 16 * from * i)
      })
      fn.increment(into, 16)
      fn.increment(source, productStep)
    })
    const { squares, finish } = writeSquares(fn, to, { ...parameters, patch: scratch })
    fn.repeat(to, () => {
      const values = Array.from({ length: from }, (_, i) => fn.local('v128', 'value', v128.load(middle, 16 * i)))
      storeColumns(fn, squares.pointers, emitLinear(fn, variant, program, factors, values))
      for (const pointer of squares.pointers) fn.increment(pointer, squares.rowStep)
      fn.increment(middle, 16 * from)
    })
    finish()
  })
}
