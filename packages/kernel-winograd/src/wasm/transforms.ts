import { type FunctionHandle, i32, type ModuleBuilder, type Variant, v128 } from '@tessera/backend-wasm'
import type { LinearProgram } from '../generator/linear-program.ts'
import { loadColumns, patchBytes, readSquares, storeColumns, writeSquares } from './lanes.ts'
import { emitLinear, loadFactors } from './linear.ts'

/** Bytes of scratch that transforms of at most `size` need: the patch, then what one pass hands to the other. */
export const transformScratchBytes = (size: number): number => patchBytes(size) + 16 * size * size

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
 */
export function emitToProducts(
  module: ModuleBuilder,
  name: string,
  variant: Variant,
  program: LinearProgram,
): ToProductsFunction {
  const from = program.inputs
  const to = program.outputs.length
  return module.function(name, toProductsParameters, 'void', (fn, parameters) => {
    const { scratch, target, productStep } = parameters
    const factors = loadFactors(fn, program)
    const { pointers, rowStep } = readSquares(fn, from, { ...parameters, patch: scratch })
    const middle = fn.local('i32', 'middle', i32.add(scratch, patchBytes(from)))
    const into = fn.local('i32', 'into', middle)
    fn.repeat(from, () => {
      const columns = loadColumns(fn, pointers, from).map((column) => fn.local('v128', 'column', column))
      emitLinear(fn, variant, program, factors, columns).forEach((value, i) => {
        fn.store('v128', into, value, 16 * i)
      })
      for (const pointer of pointers) fn.increment(pointer, rowStep)
      fn.increment(into, 16 * to)
    })
    const rowOfProducts = fn.local('i32', 'rowOfProducts', i32.mul(productStep, to))
    fn.repeat(to, () => {
      const values = Array.from({ length: from }, (_, i) => fn.local('v128', 'value', v128.load(middle, 16 * to * i)))
      const product = fn.local('i32', 'product', target)
      emitLinear(fn, variant, program, factors, values).forEach((value, i) => {
        if (i > 0) fn.increment(product, rowOfProducts)
        fn.store('v128', product, value)
      })
      fn.increment(middle, 16)
      fn.increment(target, productStep)
    })
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
