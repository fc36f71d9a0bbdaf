import type { Expression, FunctionHandle, Local, ModuleBuilder } from '../../assembler/index.ts'
import { i32 } from '../../assembler/index.ts'
import type { Variant } from '../../variant.ts'
import { emitAxpy } from './axpy.ts'
import type { DescriptorWord } from './descriptor.ts'
import { method, strideBytes, word } from './descriptor.ts'
import { emitDot } from './dot.ts'
import type { ElementFormat, OperandFormats } from './elements.ts'
import { emitSwap } from './operands.ts'
import type { PackFunction } from './pack.ts'
import { emitPackA, emitPackB } from './pack.ts'
import type { PanelFunction } from './panel.ts'
import { emitPanels, emitScatter } from './panel.ts'
import { emitStreamSum, emitStreamUnit, type matmulStreamParameters, type matmulSumParameters } from './stream.ts'
import { emitBlock, emitTiles, min } from './tiles.ts'
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

/** Parameters of one unit of work of a plan. `packed` is where all of B is packed, if the plan says so; `scratch` is the thread's own. */
export const matmulUnitParameters = {
  descriptor: 'i32',
  a: 'i32',
  b: 'i32',
  addend: 'i32',
  c: 'i32',
  packed: 'i32',
  scratch: 'i32',
  unit: 'i32',
} as const

/** Parameters of one unit of packing. */
export const matmulPackParameters = { descriptor: 'i32', a: 'i32', b: 'i32', packed: 'i32', unit: 'i32' } as const

/** The functions of the matrix product in a module. */
export interface MatmulFunctions {
  readonly tuning: MatmulTuning
  /** C = A · B, or C += A · B, as planned. Every thread of a group calls it with its index. */
  readonly matmul: FunctionHandle<typeof matmulParameters, 'void'>
  /** C = A · B + addend, for plans with an addend. */
  readonly matmulAdd: FunctionHandle<typeof matmulAddParameters, 'void'>
  /** C = A · B, + addend if planned: one unit of work. */
  readonly unit: FunctionHandle<typeof matmulUnitParameters, 'void'>
  /** Packs one unit of B, for plans that pack all of it beforehand. */
  readonly pack: FunctionHandle<typeof matmulPackParameters, 'void'>
  /** For each tile width, the product of one column panel; see `panelParameters`. */
  readonly panels: readonly PanelFunction[]
  readonly packA: PackFunction
  readonly packB: PackFunction
  /** `unit` and `pack` for operands as they are stored; A and B after the exchange that a plan may ask for. Made when first asked for. */
  reading(formats: OperandFormats): Pick<MatmulFunctions, 'unit' | 'pack' | 'stream'>
  /** For plans with `depthUnits`: one of these, and then one of the units of columns. */
  readonly stream: FunctionHandle<typeof matmulStreamParameters, 'void'>
  readonly sum: FunctionHandle<typeof matmulSumParameters, 'void'>
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
  const block = emitBlock(module, tuning, { panels, scatter: emitScatter(module) })
  const emitFor = (formats: OperandFormats) => {
    const packA = emitPackA(module, tuning, formats.a)
    const packB = emitPackB(module, tuning, formats.b)
    const parts = {
      tiles: emitTiles(module, tuning, { packA, packB, block }, formats),
      axpy: emitAxpy(module, tuning, formats),
      dot: emitDot(module, tuning, formats),
    }
    return {
      packA,
      packB,
      unit: emitUnit(module, parts, formats),
      pack: emitPackUnit(module, packB, formats.b),
      stream: emitStreamUnit(module, tuning, formats),
    }
  }
  const floats = emitFor({ a: 'f32', b: 'f32' })
  const known = new Map([['f32 f32', floats]])
  const reading = (formats: OperandFormats) => {
    const key = `${formats.a} ${formats.b}`
    const made = known.get(key) ?? emitFor(formats)
    known.set(key, made)
    return made
  }
  const { unit } = floats
  const matmulAdd = emitEntry(module, unit)
  const matmul = module.function('matmul', matmulParameters, 'void', (fn, parameters) => {
    fn.call(matmulAdd, { ...parameters, addend: parameters.c })
  })
  return { tuning, matmul, matmulAdd, panels, ...floats, sum: emitStreamSum(module), reading }
}

const unitsOf = (descriptor: Local<'i32'>) => i32.mul(word(descriptor, 'rowUnits'), word(descriptor, 'columnUnits'))

/** The entry of every thread of a group: computes its share of the units, as many as those of the others. */
function emitEntry(module: ModuleBuilder, unit: MatmulFunctions['unit']) {
  return module.function('matmulAdd', matmulAddParameters, 'void', (fn, parameters) => {
    const { descriptor, a, b, c, addend, scratch, thread, threads } = parameters
    const batches = i32.mul(word(descriptor, 'batch0'), i32.mul(word(descriptor, 'batch1'), word(descriptor, 'batch2')))
    const total = fn.local('i32', 'total', i32.mul(batches, unitsOf(descriptor)))
    const share = fn.local('i32', 'share', i32.divU(total, threads))
    const spare = fn.local('i32', 'spare', i32.remU(total, threads))
    const from = fn.local('i32', 'from', i32.add(i32.mul(share, thread), min(spare, thread)))
    const to = fn.local('i32', 'to', i32.add(i32.add(from, share), i32.ltS(thread, spare)))
    const ownScratch = fn.local('i32', 'ownScratch', i32.add(scratch, i32.mul(thread, word(descriptor, 'scratchStep'))))
    fn.forRange(from, to, 1, (index) => {
      fn.call(unit, { descriptor, a, b, c, addend, packed: 0, scratch: ownScratch, unit: index })
    })
  })
}

/** Finds the unit's batch, rows and columns and computes them. */
function emitUnit(
  module: ModuleBuilder,
  parts: Record<keyof typeof method, ReturnType<typeof emitTiles>>,
  formats: OperandFormats,
) {
  const formatOf = { ...formats, c: 'f32', addend: 'f32' } as const
  return module.function(`matmulUnit-${formats.a}-${formats.b}`, matmulUnitParameters, 'void', (fn, parameters) => {
    const { descriptor, a, b, c, addend, packed, scratch, unit } = parameters
    emitSwap(fn, parameters)
    const units = fn.local('i32', 'units', unitsOf(descriptor))
    const index = fn.local('i32', 'index', i32.divU(unit, units))
    fn.set(unit, i32.remU(unit, units))
    const pointers = { a, b, c, addend }
    type Operand = keyof typeof pointers
    for (const dimension of [2, 1, 0] as const) {
      const size = word(descriptor, `batch${dimension}`)
      for (const operand of ['a', 'b', 'c', 'addend'] as const) {
        const step = strideBytes(descriptor, `${operand}BatchStride${dimension}`, formatOf[operand])
        fn.increment(pointers[operand], i32.mul(i32.remU(index, size), step))
      }
      fn.set(index, i32.divU(index, size))
    }
    const columnUnits = fn.local('i32', 'columnUnits', word(descriptor, 'columnUnits'))
    const begin = (name: string, position: Expression<'i32'>, size: DescriptorWord) =>
      fn.local('i32', name, i32.mul(position, word(descriptor, size)))
    const firstRow = begin('firstRow', i32.divU(unit, columnUnits), 'unitRows')
    const firstColumn = begin('firstColumn', i32.remU(unit, columnUnits), 'unitColumns')
    const length = (size: 'm' | 'n', first: Local<'i32'>, most: DescriptorWord) =>
      fn.local('i32', size, min(word(descriptor, most), i32.sub(word(descriptor, size), first)))
    const m = length('m', firstRow, 'unitRows')
    const n = length('n', firstColumn, 'unitColumns')
    const move = (operand: Operand, first: Local<'i32'>, stride: DescriptorWord) =>
      fn.increment(pointers[operand], i32.mul(first, strideBytes(descriptor, stride, formatOf[operand])))
    move('a', firstRow, 'aRowStride')
    move('b', firstColumn, 'bColumnStride')
    move('addend', firstRow, 'addendRowStride')
    move('addend', firstColumn, 'addendColumnStride')
    fn.if(i32.eqz(word(descriptor, 'isStaged')), () => {
      move('c', firstRow, 'cRowStride')
      move('c', firstColumn, 'cColumnStride')
    })
    const kind = fn.local('i32', 'kind', word(descriptor, 'method'))
    const given = { descriptor, ...pointers, scratch, m, n, packed, firstColumn }
    for (const name of ['tiles', 'axpy', 'dot'] as const) {
      fn.if(i32.eq(kind, method[name]), () => fn.call(parts[name], given))
    }
  })
}

/** Packs some columns of all of B, kc rows after kc rows. */
function emitPackUnit(module: ModuleBuilder, packB: PackFunction, format: ElementFormat) {
  return module.function(`matmulPackUnit-${format}`, matmulPackParameters, 'void', (fn, parameters) => {
    const { descriptor, b, packed, unit } = parameters
    emitSwap(fn, parameters)
    const load = (name: DescriptorWord) => fn.local('i32', name, word(descriptor, name))
    const [k, kc, packedStep] = [load('k'), load('kc'), load('packedStep')]
    const bRow = fn.local('i32', 'bRow', strideBytes(descriptor, 'bRowStride', format))
    const bColumn = fn.local('i32', 'bColumn', strideBytes(descriptor, 'bColumnStride', format))
    const first = fn.local('i32', 'first', i32.mul(unit, word(descriptor, 'packColumns')))
    const count = fn.local('i32', 'count', min(word(descriptor, 'packColumns'), i32.sub(word(descriptor, 'n'), first)))
    fn.increment(b, i32.mul(first, bColumn))
    fn.forRange(0, k, kc, (p) => {
      const depth = fn.local('i32', 'depth', min(kc, i32.sub(k, p)))
      const within = i32.add(i32.mul(p, packedStep), i32.shl(i32.mul(first, depth), 2))
      fn.call(packB, {
        source: i32.add(b, i32.mul(p, bRow)),
        step: bColumn,
        kStep: bRow,
        count,
        k: depth,
        destination: i32.add(packed, within),
      })
    })
  })
}
