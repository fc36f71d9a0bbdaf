import type { FunctionHandle, Local, ModuleBuilder } from '../../assembler/index.ts'
import { i32 } from '../../assembler/index.ts'
import type { Variant } from '../../variant.ts'
import { emitAxpy } from './axpy.ts'
import type { DescriptorWord } from './descriptor.ts'
import { method, strideBytes, word } from './descriptor.ts'
import { emitDot } from './dot.ts'
import type { PackFunction } from './pack.ts'
import { emitPackA, emitPackB } from './pack.ts'
import type { PanelFunction } from './panel.ts'
import { emitPanels, emitScatter } from './panel.ts'
import { emitTiles, min } from './tiles.ts'
import type { MatmulTuning } from './tuning.ts'
import { matmulTuning } from './tuning.ts'

/** Parameters of the product. Addresses are in bytes; `descriptor` points to the words of a plan. */
export const matmulParameters = {
  descriptor: 'i32',
  a: 'i32',
  b: 'i32',
  c: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

/** As `matmulParameters`, with the address of the matrix that is added. */
export const matmulAddParameters = { ...matmulParameters, addend: 'i32' } as const

/** The functions of the matrix product in a module. */
export interface MatmulFunctions {
  readonly tuning: MatmulTuning
  /** C = A · B, or C += A · B, as planned. Every thread of a group calls it with its index. */
  readonly matmul: FunctionHandle<typeof matmulParameters, 'void'>
  /** C = A · B + addend, for plans with an addend. */
  readonly matmulAdd: FunctionHandle<typeof matmulAddParameters, 'void'>
  /** For each tile width, the product of one column panel; see `panelParameters`. */
  readonly panels: readonly PanelFunction[]
  readonly packA: PackFunction
  readonly packB: PackFunction
}

/**
 * Adds the matrix product to a module under construction, for direct use and as parts of other kernels (attention, convolution).
 * Nothing is exported; `module.export(functions.matmul)` does so.
 */
export function matmulFunctions(
  module: ModuleBuilder,
  variant: Variant,
  tuning: MatmulTuning = matmulTuning(variant),
): MatmulFunctions {
  const panels = emitPanels(module, tuning)
  const packA = emitPackA(module, tuning)
  const packB = emitPackB(module, tuning)
  const scatter = emitScatter(module)
  const parts = {
    tiles: emitTiles(module, tuning, { panels, packA, packB, scatter }),
    axpy: emitAxpy(module, tuning),
    dot: emitDot(module, tuning),
  }
  const matmulAdd = emitEntry(module, parts)
  const matmul = module.function('matmul', matmulParameters, 'void', (fn, parameters) => {
    fn.call(matmulAdd, { ...parameters, addend: parameters.c })
  })
  return { tuning, matmul, matmulAdd, panels, packA, packB }
}

/** The entry of every thread: finds its share of the work and computes it, one matrix or part of a matrix at a time. */
function emitEntry(module: ModuleBuilder, parts: Record<keyof typeof method, ReturnType<typeof emitTiles>>) {
  return module.function('matmulAdd', matmulAddParameters, 'void', (fn, parameters) => {
    const { descriptor, a, b, c, addend, scratch, thread, threads } = parameters
    fn.if(word(descriptor, 'swapped'), () => {
      const first = fn.local('i32', 'first', a)
      fn.set(a, b)
      fn.set(b, first)
    })
    const batches = i32.mul(word(descriptor, 'batch0'), i32.mul(word(descriptor, 'batch1'), word(descriptor, 'batch2')))
    const units = fn.local('i32', 'units', word(descriptor, 'units'))
    const total = fn.local('i32', 'total', i32.mul(batches, units))
    const share = fn.local('i32', 'share', i32.divU(total, threads))
    const spare = fn.local('i32', 'spare', i32.remU(total, threads))
    const from = fn.local('i32', 'from', i32.add(i32.mul(share, thread), min(spare, thread)))
    const to = fn.local('i32', 'to', i32.add(i32.add(from, share), i32.ltS(thread, spare)))
    const ownScratch = fn.local('i32', 'ownScratch', i32.add(scratch, i32.mul(thread, word(descriptor, 'scratchStep'))))
    fn.while(i32.ltS(from, to), () => {
      const batch = fn.local('i32', 'batch', i32.divU(from, units))
      const first = fn.local('i32', 'first', i32.remU(from, units))
      const count = fn.local('i32', 'count', min(i32.sub(units, first), i32.sub(to, from)))
      const pointers: Record<'a' | 'b' | 'c' | 'addend', Local<'i32'>> = {
        a: fn.local('i32', 'aPart', a),
        b: fn.local('i32', 'bPart', b),
        c: fn.local('i32', 'cPart', c),
        addend: fn.local('i32', 'addendPart', addend),
      }
      const index = fn.local('i32', 'index', batch)
      for (const dimension of [2, 1, 0] as const) {
        const size = word(descriptor, `batch${dimension}`)
        for (const operand of ['a', 'b', 'c', 'addend'] as const) {
          const step = strideBytes(descriptor, `${operand}BatchStride${dimension}`)
          fn.increment(pointers[operand], i32.mul(i32.remU(index, size), step))
        }
        fn.set(index, i32.divU(index, size))
      }
      const m = fn.local('i32', 'm', word(descriptor, 'm'))
      const n = fn.local('i32', 'n', word(descriptor, 'n'))
      const start = fn.local('i32', 'start', i32.mul(first, word(descriptor, 'unit')))
      const length = fn.local('i32', 'length', i32.mul(count, word(descriptor, 'unit')))
      const move = (operand: 'a' | 'b' | 'c' | 'addend', stride: DescriptorWord) =>
        fn.increment(pointers[operand], i32.mul(start, strideBytes(descriptor, stride)))
      fn.if(
        word(descriptor, 'splitColumns'),
        () => {
          move('b', 'bColumnStride')
          move('c', 'cColumnStride')
          move('addend', 'addendColumnStride')
          fn.set(n, min(length, i32.sub(n, start)))
        },
        () => {
          move('a', 'aRowStride')
          move('c', 'cRowStride')
          move('addend', 'addendRowStride')
          fn.set(m, min(length, i32.sub(m, start)))
        },
      )
      const kind = fn.local('i32', 'kind', word(descriptor, 'method'))
      const given = { descriptor, ...pointers, scratch: ownScratch, m, n }
      for (const name of ['tiles', 'axpy', 'dot'] as const) {
        fn.if(i32.eq(kind, method[name]), () => fn.call(parts[name], given))
      }
      fn.increment(from, count)
    })
  })
}
