import type {
  Expression,
  FunctionBuilder,
  ModuleBuilder,
  Operand,
  Parameters,
  ResultType,
} from '../../assembler/index.ts'
import { f32, f32x4, i32, i32x4, v128 } from '../../assembler/index.ts'
import { ConstantPool, decodeFiniteHalf, decodeSignedHalf, type HalfFormat } from '../../math/index.ts'
import type { Variant } from '../../variant.ts'

/** How the elements of an operand are stored. */
export type ElementFormat = 'f32' | HalfFormat

/** The formats of both operands of a product. */
export interface OperandFormats {
  readonly a: ElementFormat
  readonly b: ElementFormat
}

export const elementBytes = (format: ElementFormat): 4 | 2 => (format === 'f32' ? 4 : 2)

/** Reads elements of an operand as f32, which is exact. Addresses are in bytes, `index` counts elements from there. */
export interface ElementReader {
  readonly bytes: 4 | 2
  one(address: Operand<'i32'>, index?: number): Expression<'f32'>
  /** The first lanes of a vector: 1 to 4 neighbours; nothing behind them is read. */
  some(address: Operand<'i32'>, lanes: number, index?: number): Expression<'v128'>
}

/**
 * A reader for a function that is being built; to be made before its loops, where constants go.
 * @param areFinite whether vectors hold no infinity and no NaN
 */
export function elementReader<P extends Parameters, R extends ResultType>(
  fn: FunctionBuilder<P, R>,
  variant: Variant,
  format: ElementFormat,
  areFinite = false,
): ElementReader {
  if (format === 'f32') {
    return {
      bytes: 4,
      one: (address, index = 0) => f32.load(address, 4 * index),
      some: (address, lanes, index = 0) => loadFloats(address, lanes, 4 * index),
    }
  }
  const context = new ConstantPool(fn as unknown as FunctionBuilder, fn.insertionPoint(), variant)
  const decode = areFinite ? decodeFiniteHalf : decodeSignedHalf
  return {
    bytes: 2,
    one: (address, index = 0) =>
      f32x4.extractLane(decodeSignedHalf(context, format, i32x4.splat(i32.load16S(address, 2 * index))), 0),
    some: (address, lanes, index = 0) => decode(context, format, loadHalves(address, lanes, 2 * index)),
  }
}

/** A vector of 1 to 4 adjacent floats. */
export function loadFloats(address: Operand<'i32'>, lanes: number, offset: number): Expression<'v128'> {
  if (lanes === 4) return v128.load(address, offset)
  if (lanes === 1) return v128.load32Zero(address, offset)
  const two = v128.load64Zero(address, offset)
  return lanes === 2 ? two : v128.load32Lane(address, two, 2, offset + 8)
}

/** The same of 16-bit numbers, each in the low half of a lane whose high half repeats its sign. */
function loadHalves(address: Operand<'i32'>, lanes: number, offset: number): Expression<'v128'> {
  if (lanes === 4) return v128.load16x4S(address, offset)
  if (lanes === 1) return i32x4.splat(i32.load16S(address, offset))
  const two = v128.load32Zero(address, offset)
  return i32x4.extendLowI16x8S(lanes === 2 ? two : v128.load16Lane(address, two, 2, offset + 4))
}

const widenParameters = {
  source: 'i32',
  rowStep: 'i32',
  columnStep: 'i32',
  rows: 'i32',
  columns: 'i32',
  destination: 'i32',
} as const

/** Emits the function that writes a matrix of 16-bit floats row-major as f32. Steps are in bytes. */
export function emitWiden(module: ModuleBuilder, variant: Variant, format: HalfFormat) {
  return module.function(`matmulWiden-${format}`, widenParameters, 'void', (fn, parameters) => {
    const { source, rowStep, columnStep, rows, columns, destination } = parameters
    const reader = elementReader(fn, variant, format)
    fn.repeat(rows, () => {
      const from = fn.local('i32', 'from', source)
      const rest = fn.local('i32', 'rest', columns)
      fn.if(i32.eq(columnStep, reader.bytes), () => {
        fn.while(i32.geS(rest, 4), () => {
          fn.store('v128', destination, reader.some(from, 4))
          fn.increment(from, 4 * reader.bytes)
          fn.increment(destination, 16)
          fn.increment(rest, -4)
        })
      })
      fn.repeat(rest, () => {
        fn.store('f32', destination, reader.one(from))
        fn.increment(from, columnStep)
        fn.increment(destination, 4)
      })
      fn.increment(source, rowStep)
    })
  })
}
