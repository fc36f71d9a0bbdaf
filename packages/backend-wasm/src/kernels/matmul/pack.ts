import type {
  Expression,
  FunctionBuilder,
  FunctionHandle,
  Local,
  ModuleBuilder,
  Operand,
} from '../../assembler/index.ts'
import { i32, select, v128 } from '../../assembler/index.ts'
import { type ElementFormat, type ElementReader, elementBytes, elementReader } from './elements.ts'
import type { MatmulTuning } from './tuning.ts'
import { tileColumns } from './tuning.ts'

/** Parameters of the packing functions: addresses and steps in bytes, sizes in elements. */
export const packParameters = {
  source: 'i32',
  /** Step between the rows of A or the columns of B. */
  step: 'i32',
  /** Step along k. */
  kStep: 'i32',
  /** Number of rows of A or columns of B. */
  count: 'i32',
  k: 'i32',
  destination: 'i32',
} as const

export type PackFunction = FunctionHandle<typeof packParameters, 'void'>
type PackBuilder = FunctionBuilder<typeof packParameters, 'void'>

/**
 * Emits `packA`: copies rows × k of A into panels of `tuning.rows` rows. A panel holds, for each k, its rows as adjacent floats; the last
 * panel holds the rest of the rows without padding, so panel p starts at 4 · p · rows · k bytes.
 */
export function emitPackA(module: ModuleBuilder, tuning: MatmulTuning, format: ElementFormat = 'f32'): PackFunction {
  const panels = Array.from({ length: tuning.rows }, (_, i) => emitPackAPanel(module, tuning, i + 1, format))
  return emitPack(module, `matmulPackA${suffix(format)}`, tuning.rows, format, (fn, part, full) => {
    if (full) part(panels[tuning.rows - 1]!, tuning.rows)
    else
      for (let rows = 1; rows < tuning.rows; rows++)
        fn.if(i32.eq(part.count, rows), () => part(panels[rows - 1]!, rows))
  })
}

const suffix = (format: ElementFormat): string => (format === 'f32' ? '' : `-${format}`)

/** One panel of a fixed number of rows. */
function emitPackAPanel(
  module: ModuleBuilder,
  { variant }: MatmulTuning,
  rows: number,
  format: ElementFormat,
): PackFunction {
  return module.function(
    `matmulPackA${rows}${suffix(format)}`,
    packParameters,
    'void',
    (fn, { source, step, kStep, k, destination }) => {
      const reader = elementReader(fn, variant, format)
      fn.if(
        i32.eq(step, reader.bytes),
        () => {
          fn.while(i32.gtS(k, 0), () => {
            copyFloats(fn, destination, source, rows, reader)
            fn.increment(source, kStep)
            fn.increment(destination, 4 * rows)
            fn.increment(k, -1)
          })
        },
        () => {
          const pointers = Array.from({ length: rows }, (_, i) => fn.local('i32', 'row', i === 0 ? source : undefined))
          for (let i = 1; i < rows; i++) fn.set(pointers[i]!, i32.add(pointers[i - 1]!, step))
          fn.if(i32.eq(kStep, reader.bytes), () => {
            fn.while(i32.geS(k, 4), () => {
              for (let group = 0; group < rows; group += 4) {
                const lanes = Math.min(4, rows - group)
                const columns = transpose(fn, pointers.slice(group, group + lanes), (row) => reader.some(row, 4))
                columns.forEach((column, i) => {
                  storeFloats(fn, destination, column, lanes, 4 * (i * rows + group))
                })
              }
              for (const pointer of pointers) fn.increment(pointer, 4 * reader.bytes)
              fn.increment(destination, 16 * rows)
              fn.increment(k, -4)
            })
          })
          fn.while(i32.gtS(k, 0), () => {
            pointers.forEach((pointer, i) => {
              fn.store('f32', destination, reader.one(pointer), 4 * i)
              fn.increment(pointer, kStep)
            })
            fn.increment(destination, 4 * rows)
            fn.increment(k, -1)
          })
        },
      )
    },
  )
}

/**
 * Emits `packB`: copies k × columns of B into panels as wide as the widest tile. A panel holds, for each k, its columns as adjacent floats.
 * The last panel is as wide as the narrowest tile that holds the rest of the columns; its spare columns hold arbitrary values.
 */
export function emitPackB(module: ModuleBuilder, tuning: MatmulTuning, format: ElementFormat = 'f32'): PackFunction {
  const panels = tuning.widths.map((vectors) => emitPackBPanel(module, tuning, vectors, format))
  return emitPack(module, `matmulPackB${suffix(format)}`, tileColumns(tuning), format, (fn, part, full) => {
    if (full) part(panels[0]!, tileColumns(tuning))
    else chooseWidth(fn, tuning, part.count, (index) => part(panels[index]!, 4 * tuning.widths[index]!))
  })
}

/** Depth that is packed for all panels before the next, where source rows run across the panels: their cache lines serve several panels. */
const sliceDepth = 16

/** Calls a function that packs one panel of the given width. */
interface PackPart {
  (panel: PackFunction, width: number): void
  /** Rows or columns of the panel. */
  readonly count: Local<'i32'>
}

/** Emits the loop over panels; `emitPart` packs a full panel or the last, partial one. */
function emitPack(
  module: ModuleBuilder,
  name: string,
  width: number,
  format: ElementFormat,
  emitPart: (fn: PackBuilder, part: PackPart, full: boolean) => void,
): PackFunction {
  return module.function(name, packParameters, 'void', (fn, { source, step, kStep, count, k, destination }) => {
    const slice = fn.local('i32', 'slice', select(i32.eq(step, elementBytes(format)), i32.const(sliceDepth), k))
    fn.forRange(0, k, slice, (done) => {
      const depth = fn.local('i32', 'depth', i32.sub(k, done))
      fn.if(i32.gtS(depth, slice), () => fn.set(depth, slice))
      const from = fn.local('i32', 'from', i32.add(source, i32.mul(done, kStep)))
      const into = fn.local('i32', 'into', destination)
      const rest = fn.local('i32', 'rest', count)
      const part = (panel: PackFunction, panelWidth: number) => {
        const target = i32.add(into, i32.mul(done, 4 * panelWidth))
        fn.call(panel, { source: from, step, kStep, count: rest, k: depth, destination: target })
      }
      fn.while(i32.geS(rest, width), () => {
        emitPart(fn, Object.assign(part, { count: rest }), true)
        fn.increment(from, i32.mul(step, width))
        fn.increment(into, i32.mul(k, 4 * width))
        fn.increment(rest, -width)
      })
      fn.if(i32.gtS(rest, 0), () => emitPart(fn, Object.assign(part, { count: rest }), false))
    })
  })
}

/** Emits `body` for the narrowest tile width that holds `columns` columns (at least 1). */
export function chooseWidth(
  fn: Pick<FunctionBuilder, 'if'>,
  tuning: MatmulTuning,
  columns: Operand<'i32'>,
  body: (index: number) => void,
  index = 0,
): void {
  const narrower = tuning.widths[index + 1]
  if (narrower === undefined) {
    body(index)
    return
  }
  fn.if(
    i32.gtS(columns, 4 * narrower),
    () => body(index),
    () => chooseWidth(fn, tuning, columns, body, index + 1),
  )
}

/** One panel of `vectors` vectors, of which `count` columns exist. */
function emitPackBPanel(
  module: ModuleBuilder,
  { variant }: MatmulTuning,
  vectors: number,
  format: ElementFormat,
): PackFunction {
  return module.function(`matmulPackB${4 * vectors}${suffix(format)}`, packParameters, 'void', (fn, parameters) => {
    const { step, kStep } = parameters
    const reader = elementReader(fn, variant, format)
    fn.if(
      i32.eq(step, reader.bytes),
      () => copyBRows(fn, vectors, reader),
      () => {
        fn.if(
          i32.eq(kStep, reader.bytes),
          () => transposeBColumns(fn, vectors, reader),
          () => gatherB(fn, vectors, reader),
        )
      },
    )
  })
}

/** Rows of B are contiguous: copies vectors, the last ones lane by lane. */
function copyBRows(fn: PackBuilder, vectors: number, reader: ElementReader): void {
  const { source, kStep, count, k, destination } = fn.parameters
  const advance = () => {
    fn.increment(source, kStep)
    fn.increment(destination, 16 * vectors)
    fn.increment(k, -1)
  }
  fn.if(
    i32.geS(count, 4 * vectors),
    () => {
      fn.while(i32.gtS(k, 0), () => {
        copyFloats(fn, destination, source, 4 * vectors, reader)
        advance()
      })
    },
    () => {
      fn.while(i32.gtS(k, 0), () => {
        for (let column = 0; column < 4 * vectors; column++) {
          fn.if(i32.gtS(count, column), () => {
            fn.store('f32', destination, reader.one(source, column), 4 * column)
          })
        }
        advance()
      })
    },
  )
}

/** Columns of B are contiguous: transposes blocks of 4 × 4. Columns that do not exist repeat the last one. */
function transposeBColumns(fn: PackBuilder, vectors: number, reader: ElementReader): void {
  const { source, step, count, k, destination } = fn.parameters
  for (let group = 0; group < vectors; group++) {
    fn.scope(() => {
      const pointers = Array.from({ length: 4 }, (_, i) =>
        fn.local('i32', 'column', i32.add(source, i32.mul(step, clampColumn(count, 4 * group + i)))),
      )
      const target = fn.local('i32', 'target', i32.add(destination, 16 * group))
      const rest = fn.local('i32', 'rest', k)
      fn.while(i32.geS(rest, 4), () => {
        transpose(fn, pointers, (column) => reader.some(column, 4)).forEach((row, i) => {
          fn.store('v128', target, row, 16 * vectors * i)
        })
        for (const pointer of pointers) fn.increment(pointer, 4 * reader.bytes)
        fn.increment(target, 64 * vectors)
        fn.increment(rest, -4)
      })
      fn.while(i32.gtS(rest, 0), () => {
        pointers.forEach((pointer, i) => {
          fn.store('f32', target, reader.one(pointer), 4 * i)
          fn.increment(pointer, reader.bytes)
        })
        fn.increment(target, 16 * vectors)
        fn.increment(rest, -1)
      })
    })
  }
}

/** Any strides: float by float. */
function gatherB(fn: PackBuilder, vectors: number, reader: ElementReader): void {
  const { source, step, kStep, count, k, destination } = fn.parameters
  fn.while(i32.gtS(k, 0), () => {
    const pointer = fn.local('i32', 'pointer', source)
    for (let column = 0; column < 4 * vectors; column++) {
      fn.store('f32', destination, reader.one(pointer), 4 * column)
      fn.increment(pointer, select(i32.gtS(count, column + 1), step, i32.const(0)))
    }
    fn.increment(source, kStep)
    fn.increment(destination, 16 * vectors)
    fn.increment(k, -1)
  })
}

/** min(column, count − 1) */
function clampColumn(count: Local<'i32'>, column: number): Expression<'i32'> {
  return select(i32.gtS(count, column), i32.const(column), i32.sub(count, 1))
}

type Statements = Pick<FunctionBuilder, 'local' | 'store' | 'storeLane'>

/** Copies a fixed number of adjacent floats; all loads come before the stores. */
function copyFloats(
  fn: Statements,
  destination: Local<'i32'>,
  source: Local<'i32'>,
  count: number,
  reader: ElementReader,
): void {
  const parts: [Local<'v128'>, number][] = []
  for (let i = 0; i < count; i += 4) {
    const lanes = Math.min(4, count - i)
    parts.push([fn.local('v128', 'part', reader.some(source, lanes, i)), lanes])
  }
  parts.forEach(([part, lanes], i) => {
    storeFloats(fn, destination, part, lanes, 16 * i)
  })
}

/** Stores the first 1 to 4 floats of a vector. */
export function storeFloats(
  fn: Pick<FunctionBuilder, 'store' | 'storeLane'>,
  address: Operand<'i32'>,
  vector: Expression<'v128'>,
  lanes: number,
  offset: number,
): void {
  if (lanes === 4) {
    fn.store('v128', address, vector, offset)
    return
  }
  if (lanes >= 2) fn.storeLane(64, address, vector, 0, offset)
  if (lanes !== 2) fn.storeLane(32, address, vector, lanes - 1, offset + 4 * (lanes - 1))
}

/** Loads four floats from each of 1 to 4 rows and gives the four columns, whose first lanes hold the rows. */
export function transpose(
  fn: Pick<FunctionBuilder, 'local'>,
  rows: readonly Local<'i32'>[],
  load: (row: Local<'i32'>) => Expression<'v128'> = (row) => v128.load(row),
): Expression<'v128'>[] {
  const [a, b = a, c, d = c] = rows.map((row) => fn.local('v128', 'row', load(row)))
  if (!a || !b) return []
  const low = fn.local('v128', 'low', v128.shuffle32(a, b, [0, 4, 1, 5]))
  const high = fn.local('v128', 'high', v128.shuffle32(a, b, [2, 6, 3, 7]))
  if (!c || !d) return [low, v128.shuffle32(low, low, [2, 3, 2, 3]), high, v128.shuffle32(high, high, [2, 3, 2, 3])]
  const low2 = fn.local('v128', 'low', v128.shuffle32(c, d, [0, 4, 1, 5]))
  const high2 = fn.local('v128', 'high', v128.shuffle32(c, d, [2, 6, 3, 7]))
  return [
    v128.shuffle32(low, low2, [0, 1, 4, 5]),
    v128.shuffle32(low, low2, [2, 3, 6, 7]),
    v128.shuffle32(high, high2, [0, 1, 4, 5]),
    v128.shuffle32(high, high2, [2, 3, 6, 7]),
  ]
}
