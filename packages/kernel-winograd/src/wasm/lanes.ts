import {
  type Expression,
  type FunctionBuilder,
  type FunctionHandle,
  i32,
  type Local,
  type ModuleBuilder,
  type ScalarOrExpression,
  select,
  v128,
} from '@tessera/backend-wasm'

/**
 * A table of small squares in planes of floats: tiles of images, or filters. Each entry says where a square begins, in bytes from its plane, and
 * which of its rows and columns exist. Transforms work on four entries, one in each lane.
 */
const entryWords = ['offset', 'rowFrom', 'rowTo', 'columnFrom', 'columnTo', 'isWhole'] as const
type EntryWord = (typeof entryWords)[number]
export const entryBytes = 4 * entryWords.length
const wordOffset = (name: EntryWord): number => 4 * entryWords.indexOf(name)

const tilesParameters = {
  table: 'i32',
  /** The first tile, counted over all images, and how many; entries without rows follow up to `padded`. */
  first: 'i32',
  count: 'i32',
  padded: 'i32',
  gridY: 'i32',
  gridX: 'i32',
  /** Tile (y, x) begins at (y · step + originY, x · step + originX) of a plane of extentY × extentX. */
  step: 'i32',
  originY: 'i32',
  originX: 'i32',
  extentY: 'i32',
  extentX: 'i32',
  size: 'i32',
  imageStep: 'i32',
  rowStep: 'i32',
} as const

export type TilesFunction = FunctionHandle<typeof tilesParameters, 'void'>

const least = (a: Expression<'i32'>, b: Expression<'i32'>) => select(i32.ltS(a, b), a, b)
const most = (a: Expression<'i32'>, b: Expression<'i32'>) => select(i32.gtS(a, b), a, b)

/** Emits the function that writes the entries of neighbouring tiles of images. */
export function emitTiles(module: ModuleBuilder): TilesFunction {
  return module.function('winogradTiles', tilesParameters, 'void', (fn, parameters) => {
    const { table, first, count, padded, gridY, gridX, step, originY, originX } = parameters
    const { extentY, extentX, size, imageStep, rowStep } = parameters
    const end = fn.local('i32', 'end', i32.add(first, count))
    fn.forRange(first, i32.add(first, padded), 1, (tile) => {
      const column = fn.local('i32', 'column', i32.add(i32.mul(i32.remU(tile, gridX), step), originX))
      const rest = fn.local('i32', 'rest', i32.divU(tile, gridX))
      const row = fn.local('i32', 'row', i32.add(i32.mul(i32.remU(rest, gridY), step), originY))
      const image = i32.divU(rest, gridY)
      const exists = fn.local('i32', 'exists', i32.ltS(tile, end))
      const store = (name: EntryWord, value: ScalarOrExpression<'i32'>) =>
        fn.store('i32', table, value, wordOffset(name))
      const range = (start: Local<'i32'>, extent: Local<'i32'>): [Local<'i32'>, Local<'i32'>] => {
        const from = fn.local('i32', 'from', least(most(i32.sub(0, start), i32.const(0)), size))
        const to = fn.local('i32', 'to', most(least(i32.sub(extent, start), size), from))
        return [from, to]
      }
      const [rowFrom, rowTo] = range(row, extentY)
      const [columnFrom, columnTo] = range(column, extentX)
      fn.if(i32.eqz(exists), () => fn.set(rowTo, rowFrom))
      const offset = i32.add(i32.mul(image, imageStep), i32.add(i32.mul(row, rowStep), i32.shl(column, 2)))
      store('offset', i32.mul(offset, exists))
      store('rowFrom', rowFrom)
      store('rowTo', rowTo)
      store('columnFrom', columnFrom)
      store('columnTo', columnTo)
      const fills = (from: Local<'i32'>, to: Local<'i32'>) => i32.eq(i32.sub(to, from), size)
      store('isWhole', i32.and(fills(rowFrom, rowTo), fills(columnFrom, columnTo)))
      fn.increment(table, entryBytes)
    })
  })
}

const filtersParameters = { table: 'i32', count: 'i32', padded: 'i32', step: 'i32', size: 'i32' } as const

/** Emits the function that writes the entries of squares that lie `step` bytes apart; entries without rows follow up to `padded`. */
export function emitSquares(module: ModuleBuilder): FunctionHandle<typeof filtersParameters, 'void'> {
  return module.function('winogradSquares', filtersParameters, 'void', (fn, parameters) => {
    const { table, count, padded, step, size } = parameters
    fn.forRange(0, padded, 1, (i) => {
      const exists = fn.local('i32', 'exists', i32.ltS(i, count))
      fn.store('i32', table, i32.mul(i32.mul(i, step), exists), wordOffset('offset'))
      fn.store('i32', table, 0, wordOffset('rowFrom'))
      fn.store('i32', table, i32.mul(size, exists), wordOffset('rowTo'))
      fn.store('i32', table, 0, wordOffset('columnFrom'))
      fn.store('i32', table, size, wordOffset('columnTo'))
      fn.store('i32', table, exists, wordOffset('isWhole'))
      fn.increment(table, entryBytes)
    })
  })
}

const channelsParameters = { table: 'i32', count: 'i32', target: 'i32', channelStep: 'i32', channels: 'i32' } as const

/** Emits the function that makes four entries of each: the same square in neighbouring planes, of which the last may be missing. */
export function emitChannels(module: ModuleBuilder): FunctionHandle<typeof channelsParameters, 'void'> {
  return module.function('winogradChannels', channelsParameters, 'void', (fn, parameters) => {
    const { table, count, target, channelStep, channels } = parameters
    fn.repeat(count, () => {
      for (const lane of lanes) {
        const exists = fn.local('i32', 'exists', i32.gtS(channels, lane))
        const word = (name: EntryWord) => i32.load(table, wordOffset(name))
        const store = (name: EntryWord, value: Expression<'i32'>) => fn.store('i32', target, value, wordOffset(name))
        store('offset', i32.mul(i32.add(word('offset'), i32.mul(channelStep, lane)), exists))
        store('rowFrom', word('rowFrom'))
        store('rowTo', select(exists, word('rowTo'), word('rowFrom')))
        store('columnFrom', word('columnFrom'))
        store('columnTo', word('columnTo'))
        store('isWhole', i32.and(word('isWhole'), exists))
        fn.increment(target, entryBytes)
      }
      fn.increment(table, entryBytes)
    })
  })
}

const lanes = [0, 1, 2, 3] as const
type Body = Pick<FunctionBuilder, 'local' | 'locals' | 'set' | 'store' | 'storeLane' | 'if' | 'forRange' | 'increment'>

/** Where the four squares of a group lie: themselves if all are whole, else copies of them in `patch`. */
export interface Squares {
  readonly pointers: readonly Local<'i32'>[]
  /** Bytes between rows. */
  readonly rowStep: Local<'i32'>
  readonly areWhole: Local<'i32'>
}

/** Bytes of a row of a square in the patch, and of the patch of four squares of at most `size`. */
const patchRow = (size: number): number => 16 * Math.ceil(size / 4)
export const patchBytes = (size: number): number => 4 * size * patchRow(size)

function locate(fn: Body, table: Local<'i32'>, plane: Local<'i32'>, rowStep: Local<'i32'>): Squares {
  const word = (lane: number, name: EntryWord) => i32.load(table, lane * entryBytes + wordOffset(name))
  const pointers = lanes.map((lane) => fn.local('i32', 'pointer', i32.add(plane, word(lane, 'offset'))))
  const [a, b, c, d] = lanes.map((lane) => word(lane, 'isWhole'))
  const areWhole = fn.local('i32', 'areWhole', i32.and(i32.and(a!, b!), i32.and(c!, d!)))
  return { pointers, rowStep: fn.local('i32', 'step', rowStep), areWhole }
}

/** Visits the elements that exist of each square: their addresses in the plane and in the patch. */
function forExisting(
  fn: Body,
  size: number,
  { table, plane, rowStep, patch }: Record<'table' | 'plane' | 'rowStep' | 'patch', Local<'i32'>>,
  visit: (inPlane: Local<'i32'>, inPatch: Local<'i32'>) => void,
): void {
  fn.forRange(0, 4, 1, (lane) => {
    const entry = fn.local('i32', 'entry', i32.add(table, i32.mul(lane, entryBytes)))
    const word = (name: EntryWord) => i32.load(entry, wordOffset(name))
    const columnFrom = fn.local('i32', 'columnFrom', word('columnFrom'))
    const columnTo = fn.local('i32', 'columnTo', word('columnTo'))
    fn.forRange(word('rowFrom'), word('rowTo'), 1, (row) => {
      const ofRow = i32.add(i32.add(plane, word('offset')), i32.mul(row, rowStep))
      const inPlane = fn.local('i32', 'inPlane', i32.add(ofRow, i32.shl(columnFrom, 2)))
      const square = i32.mul(i32.add(i32.mul(lane, size), row), patchRow(size))
      const inPatch = fn.local('i32', 'inPatch', i32.add(i32.add(patch, square), i32.shl(columnFrom, 2)))
      fn.forRange(columnFrom, columnTo, 1, () => {
        visit(inPlane, inPatch)
        fn.increment(inPlane, 4)
        fn.increment(inPatch, 4)
      })
    })
  })
}

type Group = Record<'table' | 'plane' | 'rowStep' | 'patch', Local<'i32'>>

/** Makes the squares of a group readable: those that are not whole are copied to the patch with zeros around them. */
export function readSquares(fn: Body, size: number, group: Group): Squares {
  const squares = locate(fn, group.table, group.plane, group.rowStep)
  fn.if(i32.eqz(squares.areWhole), () => {
    const zero = v128.const(new Float32Array(4))
    for (let offset = 0; offset < patchBytes(size); offset += 16) fn.store('v128', group.patch, zero, offset)
    forExisting(fn, size, group, (inPlane, inPatch) => fn.store('i32', inPatch, i32.load(inPlane)))
    useAPatch(fn, size, group.patch, squares)
  })
  return squares
}

/** Gives places to write squares to: the patch, unless all are whole; `finish` copies what exists of them. */
export function writeSquares(fn: Body, size: number, group: Group): { squares: Squares; finish: () => void } {
  const squares = locate(fn, group.table, group.plane, group.rowStep)
  fn.if(i32.eqz(squares.areWhole), () => useAPatch(fn, size, group.patch, squares))
  const finish = () =>
    fn.if(i32.eqz(squares.areWhole), () => {
      forExisting(fn, size, group, (inPlane, inPatch) => fn.store('i32', inPlane, i32.load(inPatch)))
    })
  return { squares, finish }
}

function useAPatch(fn: Body, size: number, patch: Local<'i32'>, { pointers, rowStep }: Squares): void {
  pointers.forEach((pointer, lane) => {
    fn.set(pointer, i32.add(patch, lane * size * patchRow(size)))
  })
  fn.set(rowStep, patchRow(size))
}

/** Loads one row of each square and gives its columns, whose lanes are the squares. */
export function loadColumns(fn: Body, pointers: readonly Local<'i32'>[], count: number): Expression<'v128'>[] {
  const columns: Expression<'v128'>[] = []
  for (let first = 0; first < count; first += 4) {
    const length = Math.min(4, count - first)
    const rows = pointers.map((pointer) => fn.local('v128', 'row', loadFloats(pointer, length, 4 * first)))
    columns.push(...transpose(fn, rows, length))
  }
  return columns
}

/** Stores one row of each square, given its columns (at most four). */
export function storeColumns(
  fn: Body,
  pointers: readonly Local<'i32'>[],
  columns: readonly Expression<'v128'>[],
): void {
  const filled = lanes.map((i) => fn.local('v128', 'column', columns[Math.min(i, columns.length - 1)]!))
  const rows = transpose(fn, filled, 4)
  pointers.forEach((pointer, lane) => {
    const row = rows[lane]!
    if (columns.length === 4) fn.store('v128', pointer, row)
    else {
      fn.storeLane(64, pointer, row, 0)
      if (columns.length === 3) fn.storeLane(32, pointer, row, 2, 8)
    }
  })
}

/** A vector of 1 to 4 adjacent floats. */
function loadFloats(address: Local<'i32'>, count: number, offset: number): Expression<'v128'> {
  if (count === 4) return v128.load(address, offset)
  if (count === 1) return v128.load32Zero(address, offset)
  const two = v128.load64Zero(address, offset)
  return count === 2 ? two : v128.load32Lane(address, two, 2, offset + 8)
}

/** The first `count` columns of four rows. */
export function transpose(
  fn: Pick<FunctionBuilder, 'local'>,
  rows: readonly Local<'v128'>[],
  count: number,
): Expression<'v128'>[] {
  const [a, b, c, d] = rows as [Local<'v128'>, Local<'v128'>, Local<'v128'>, Local<'v128'>]
  const pairs = (half: 0 | 1) => {
    const pick = [2 * half, 2 * half + 4, 2 * half + 1, 2 * half + 5] as const
    return [
      fn.local('v128', 'pair', v128.shuffle32(a, b, pick)),
      fn.local('v128', 'pair', v128.shuffle32(c, d, pick)),
    ] as const
  }
  const [low, low2] = pairs(0)
  const result = [v128.shuffle32(low, low2, [0, 1, 4, 5]), v128.shuffle32(low, low2, [2, 3, 6, 7])]
  if (count > 2) {
    const [high, high2] = pairs(1)
    result.push(v128.shuffle32(high, high2, [0, 1, 4, 5]), v128.shuffle32(high, high2, [2, 3, 6, 7]))
  }
  return result.slice(0, count)
}
