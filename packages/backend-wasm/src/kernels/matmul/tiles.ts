import type { Expression, FunctionBuilder, FunctionHandle, Local, ModuleBuilder } from '../../assembler/index.ts'
import { f32x4, i32, select } from '../../assembler/index.ts'
import type { DescriptorWord } from './descriptor.ts'
import { bSource, strideBytes, word } from './descriptor.ts'
import type { ElementFormat, OperandFormats } from './elements.ts'
import type { PackFunction } from './pack.ts'
import { chooseWidth } from './pack.ts'
import type { PanelFunction, scatterParameters } from './panel.ts'
import { aLayoutCode } from './panel.ts'
import type { MatmulTuning } from './tuning.ts'
import { tileColumns } from './tuning.ts'

/** Parameters of the functions that compute one matrix or a part of it, m × n. Addresses in bytes; everything else is in the descriptor. */
export const partParameters = {
  descriptor: 'i32',
  a: 'i32',
  b: 'i32',
  addend: 'i32',
  c: 'i32',
  scratch: 'i32',
  m: 'i32',
  n: 'i32',
  /** Where all of B is packed, if it is, and the column of it that `b` begins with. */
  packed: 'i32',
  firstColumn: 'i32',
} as const

export type PartFunction = FunctionHandle<typeof partParameters, 'void'>

/** The functions that `emitTiles` builds on. */
export interface TileParts {
  readonly packA: PackFunction
  readonly packB: PackFunction
  readonly block: ReturnType<typeof emitBlock>
}

/** The functions that `emitBlock` builds on. */
interface BlockParts {
  readonly panels: readonly PanelFunction[]
  readonly scatter: FunctionHandle<typeof scatterParameters, 'void'>
}

/** Bytes of the row of zeros and of the temporary tile at the start of a thread's scratch. */
export function tileScratchBytes(tuning: MatmulTuning): { zeros: number; tile: number } {
  return { zeros: 4 * tileColumns(tuning), tile: 4 * tileColumns(tuning) * tuning.rows }
}

export function min(a: Expression<'i32'>, b: Expression<'i32'>): Expression<'i32'> {
  return select(i32.ltS(a, b), a, b)
}

/**
 * Emits the blocked product of one matrix (Van Zee and van de Geijn, "BLIS", 2015, figure 1): B is packed kc × nc at a time, A mc × kc at a
 * time, and tiles run over the packed parts. Each unit of work packs for itself, unless all of B is packed before. The partial sums over kc are added
 * in order of k.
 */
export function emitTiles(
  module: ModuleBuilder,
  tuning: MatmulTuning,
  parts: TileParts,
  formats: OperandFormats,
): PartFunction {
  const width = tileColumns(tuning)
  return module.function(`matmulTiles-${formats.a}-${formats.b}`, partParameters, 'void', (fn, parameters) => {
    const { descriptor, a, b, addend, c, scratch, m, n, packed, firstColumn } = parameters
    const load = (name: DescriptorWord) => fn.local('i32', name, word(descriptor, name))
    const stride = (name: DescriptorWord, format?: ElementFormat) =>
      fn.local('i32', name, strideBytes(descriptor, name, format))
    const [k, mc, kc, nc] = [load('k'), load('mc'), load('kc'), load('nc')]
    const [aRow, aColumn] = [stride('aRowStride', formats.a), stride('aColumnStride', formats.a)]
    const [bRow, bColumn] = [stride('bRowStride', formats.b), stride('bColumnStride', formats.b)]
    const [cRow, cColumn] = [stride('cRowStride'), stride('cColumnStride')]
    const [aLayout, source] = [load('aLayout'), load('bSource')]
    const isInPlace = fn.local('i32', 'isInPlace', i32.eq(source, bSource.inPlace))
    const packedStep = load('packedStep')
    const bPacked = fn.local('i32', 'bPacked', i32.add(scratch, word(descriptor, 'bScratch')))
    const aPacked = fn.local('i32', 'aPacked', i32.add(scratch, word(descriptor, 'aScratch')))
    const addendRow = fn.local('i32', 'addendRow')
    const addendColumn = fn.local('i32', 'addendColumn')
    writeZeros(fn, scratch, tuning)

    fn.forRange(0, n, nc, (j) => {
      const columns = fn.local('i32', 'columns', min(nc, i32.sub(n, j)))
      const cBlock = fn.local('i32', 'cBlock', i32.add(c, i32.mul(j, cColumn)))
      const p = fn.local('i32', 'p', 0)
      fn.loop((nextDepth) => {
        const depth = fn.local('i32', 'depth', min(kc, i32.sub(k, p)))
        const added = fn.local('i32', 'added', cBlock)
        fn.if(
          p,
          () => {
            fn.set(addendRow, cRow)
            fn.set(addendColumn, cColumn)
          },
          () => chooseAddend(fn, { added, addendRow, addendColumn }, { descriptor, addend, scratch, j, cRow, cColumn }),
        )
        const bBlock = fn.local('i32', 'bBlock', i32.add(b, i32.add(i32.mul(p, bRow), i32.mul(j, bColumn))))
        const bTiles = fn.local('i32', 'bTiles', bPacked)
        const pack = (from: Expression<'i32'>, count: Local<'i32'>) =>
          fn.call(parts.packB, { source: from, step: bColumn, kStep: bRow, count, k: depth, destination: bPacked })
        fn.if(
          isInPlace,
          () => {
            // Only columns that do not fill a tile are packed, so that no tile reads beyond them.
            const rest = fn.local('i32', 'rest', i32.remU(columns, width))
            pack(i32.add(bBlock, i32.mul(i32.sub(columns, rest), bColumn)), rest)
            fn.set(bTiles, bBlock)
          },
          () => {
            fn.if(
              i32.eq(source, bSource.shared),
              () => {
                const column = i32.add(firstColumn, j)
                const within = i32.add(i32.mul(p, packedStep), i32.shl(i32.mul(column, depth), 2))
                fn.set(bTiles, i32.add(packed, within))
              },
              () => pack(bBlock, columns),
            )
          },
        )
        fn.forRange(0, m, mc, (i) => {
          const rows = fn.local('i32', 'rows', min(mc, i32.sub(m, i)))
          const aBlock = fn.local('i32', 'aBlock', i32.add(a, i32.add(i32.mul(i, aRow), i32.mul(p, aColumn))))
          fn.if(i32.eq(aLayout, aLayoutCode.packed), () => {
            fn.call(parts.packA, {
              source: aBlock,
              step: aRow,
              kStep: aColumn,
              count: rows,
              k: depth,
              destination: aPacked,
            })
            fn.set(aBlock, aPacked)
          })
          fn.call(parts.block, {
            layout: aLayout,
            a: aBlock,
            aStep: select(i32.eq(aLayout, aLayoutCode.rows), aRow, aColumn),
            m: rows,
            b: bTiles,
            bStep: select(isInPlace, bRow, i32.const(0)),
            bRest: bPacked,
            n: columns,
            k: depth,
            addend: i32.add(added, i32.mul(i, addendRow)),
            addendRow,
            addendColumn,
            c: i32.add(cBlock, i32.mul(i, cRow)),
            cRow,
            cColumn,
            scratch,
          })
        })
        fn.increment(p, kc)
        fn.branchIf(nextDepth, i32.ltS(p, k))
      })
    })
  })
}

function writeZeros(
  fn: FunctionBuilder<typeof partParameters, 'void'>,
  scratch: Local<'i32'>,
  tuning: MatmulTuning,
): void {
  const zero = f32x4.splat(0)
  for (let offset = 0; offset < tileScratchBytes(tuning).zeros; offset += 16) fn.store('v128', scratch, zero, offset)
}

/** What is added to the first partial sums: nothing, the given addend, or C. */
function chooseAddend(
  fn: FunctionBuilder<typeof partParameters, 'void'>,
  into: { added: Local<'i32'>; addendRow: Local<'i32'>; addendColumn: Local<'i32'> },
  from: Record<'descriptor' | 'addend' | 'scratch' | 'j' | 'cRow' | 'cColumn', Local<'i32'>>,
): void {
  const kind = fn.local('i32', 'kind', word(from.descriptor, 'addendKind'))
  fn.if(
    i32.eqz(kind),
    () => {
      fn.set(into.added, from.scratch)
      fn.set(into.addendRow, 0)
      fn.set(into.addendColumn, 0)
    },
    () => {
      fn.if(
        i32.eq(kind, 1),
        () => {
          fn.set(into.addendRow, strideBytes(from.descriptor, 'addendRowStride'))
          fn.set(into.addendColumn, strideBytes(from.descriptor, 'addendColumnStride'))
          fn.set(into.added, i32.add(from.addend, i32.mul(from.j, into.addendColumn)))
        },
        () => {
          fn.set(into.addendRow, from.cRow)
          fn.set(into.addendColumn, from.cColumn)
        },
      )
    },
  )
}

/** Parameters of the block function: one packed or in-place m × k part of A times one k × n part of B. */
const blockParameters = {
  layout: 'i32',
  a: 'i32',
  aStep: 'i32',
  m: 'i32',
  b: 'i32',
  /** Step between rows of B in place; 0 for packed panels. */
  bStep: 'i32',
  /** Where the last columns of B are packed if the others are read in place. */
  bRest: 'i32',
  n: 'i32',
  k: 'i32',
  addend: 'i32',
  addendRow: 'i32',
  addendColumn: 'i32',
  c: 'i32',
  cRow: 'i32',
  cColumn: 'i32',
  scratch: 'i32',
} as const

/** Emits the tiles over one part of A and one of B, which are packed or, if they are f32, lie where they are. */
export function emitBlock(module: ModuleBuilder, tuning: MatmulTuning, parts: BlockParts) {
  const width = tileColumns(tuning)
  return module.function('matmulBlock', blockParameters, 'void', (fn, parameters) => {
    const { layout, a, aStep, m, b, bStep, bRest, n, k, addend, addendRow, addendColumn, c, cRow, cColumn, scratch } =
      parameters
    const aPanelStep = fn.local('i32', 'aPanelStep', i32.mul(k, 4 * tuning.rows))
    fn.if(i32.eq(layout, aLayoutCode.rows), () => fn.set(aPanelStep, i32.mul(aStep, tuning.rows)))
    fn.if(i32.eq(layout, aLayoutCode.columns), () => fn.set(aPanelStep, 4 * tuning.rows))
    // Tiles write to C and read the addend as vectors if the columns of both are adjacent (or the addend is the row of zeros).
    const addendIsZeros = fn.local('i32', 'addendIsZeros', i32.eq(addend, scratch))
    const vectors = fn.local(
      'i32',
      'vectors',
      i32.and(i32.eq(cColumn, 4), i32.or(i32.eq(addendColumn, 4), addendIsZeros)),
    )
    const bPanelStep = fn.local('i32', 'bPanelStep', select(bStep, i32.const(4 * width), i32.mul(k, 4 * width)))
    const [bPanel, step] = [fn.local('i32', 'bPanel'), fn.local('i32', 'step')]

    const panel = (index: number, columns: Local<'i32'>) => {
      const columnsOfTile = 4 * tuning.widths[index]!
      const isFull = fn.local('i32', 'isFull', i32.eq(columns, columnsOfTile))
      fn.set(bPanel, b)
      fn.set(step, bStep)
      // Packed panels have the width of their tile; in place, a part of a tile is read from its packed copy.
      fn.if(i32.or(i32.eqz(bStep), i32.eqz(isFull)), () => fn.set(step, 4 * columnsOfTile))
      fn.if(i32.and(i32.ne(bStep, 0), i32.eqz(isFull)), () => fn.set(bPanel, bRest))
      const shared = { layout, aStep, aPanelStep, b: bPanel, bStep: step, k }
      fn.if(
        i32.and(vectors, isFull),
        () => fn.call(parts.panels[index]!, { ...shared, a, m, addend, addendStep: addendRow, c, cStep: cRow }),
        () => {
          const tile = fn.local('i32', 'tile', i32.add(scratch, tileScratchBytes(tuning).zeros))
          const aTile = fn.local('i32', 'aTile', a)
          fn.forRange(0, m, tuning.rows, (i) => {
            const rows = fn.local('i32', 'rows', min(i32.const(tuning.rows), i32.sub(m, i)))
            const temporary = { addend: scratch, addendStep: 0, c: tile, cStep: 4 * columnsOfTile }
            fn.call(parts.panels[index]!, { ...shared, a: aTile, m: rows, ...temporary })
            fn.call(parts.scatter, {
              tile,
              tileStep: 4 * columnsOfTile,
              rows,
              columns,
              addend: i32.add(addend, i32.mul(i, addendRow)),
              addendRowStep: addendRow,
              addendColumnStep: addendColumn,
              c: i32.add(c, i32.mul(i, cRow)),
              cRowStep: cRow,
              cColumnStep: cColumn,
            })
            fn.increment(aTile, aPanelStep)
          })
        },
      )
    }
    fn.while(i32.gtS(n, 0), () => {
      const columns = fn.local('i32', 'columns', min(i32.const(width), n))
      chooseWidth(fn, tuning, columns, (index) => panel(index, columns))
      fn.increment(b, bPanelStep)
      fn.increment(addend, i32.mul(addendColumn, width))
      fn.increment(c, i32.mul(cColumn, width))
      fn.increment(n, -width)
    })
  })
}
