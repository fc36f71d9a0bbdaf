import type { Local } from '../assembler/index.ts'
import { i32, i64 } from '../assembler/index.ts'
import type { Block } from './access.ts'
import type { NestAxis } from './axes.ts'
import type { FusedCode, Integer } from './code.ts'
import type { Words } from './words.ts'

/** Where each access stands: the address (for a counter: the value) of the first element of what the current loops look at. */
export type Bases = readonly Integer[]

/** A loop of an odometer or of nested loops. Its words in the call's data are named after it. */
export interface LoopAxis {
  readonly name: string
  /** The accesses that move along it. */
  readonly moving: readonly number[]
}

/** Writes the words of an axis and says which accesses move along it, by the strides that the body's structure allows to differ from 0. */
export function addLoopAxis(
  words: Words,
  name: string,
  axis: NestAxis,
  bytes: readonly number[],
  varies: readonly boolean[],
): LoopAxis {
  const moving = bytes.map((_, i) => i).filter((i) => varies[i])
  words.integer(`${name}.extent`, axis.extent)
  for (const i of moving) {
    const stride = axis.strides[i]! * bytes[i]!
    words.integer(`${name}.stride${i}`, stride)
    words.integer(`${name}.return${i}`, -stride * (axis.extent - 1))
  }
  return { name, moving }
}

const extentOf = (code: FusedCode, axis: LoopAxis): Integer => code.word(`${axis.name}.extent`)
const strideOf = (code: FusedCode, axis: LoopAxis, access: number): Integer => code.word(`${axis.name}.stride${access}`)

/** This thread's share of `total` items: `[begin, end)`. */
export function emitShare(code: FusedCode, total: Integer): { begin: Local<'i32'>; end: Local<'i32'> } {
  const { fn } = code
  const { thread, threads } = fn.parameters
  const count = fn.local('i64', 'count', i64.extendI32U(total))
  const first = (index: Integer): Integer =>
    i32.wrapI64(i64.divU(i64.mul(count, i64.extendI32U(index)), i64.extendI32U(threads)))
  return { begin: fn.local('i32', 'begin', first(thread)), end: fn.local('i32', 'end', first(i32.add(thread, 1))) }
}

/**
 * Runs the body for items `begin` to `end` of a space of axes, outermost first, in row-major order; the bases move along. The body
 * gets the index along each axis, and the number of the item.
 */
export function emitOdometer(
  code: FusedCode,
  axes: readonly LoopAxis[],
  { begin, end }: { readonly begin: Local<'i32'>; readonly end: Local<'i32'> },
  bases: Bases,
  body: (bases: Bases, indices: readonly Local<'i32'>[], item: Local<'i32'>) => void,
): void {
  const { fn } = code
  fn.if(i32.ltU(begin, end), () => {
    const rest = fn.local('i32', 'rest', begin)
    const indices = axes.map((axis) => fn.local('i32', axis.name))
    for (let i = axes.length - 1; i > 0; i--) {
      fn.set(indices[i]!, i32.remU(rest, extentOf(code, axes[i]!)))
      fn.set(rest, i32.divU(rest, extentOf(code, axes[i]!)))
    }
    if (axes.length > 0) fn.set(indices[0]!, rest)
    const moved = bases.map((base, access) => {
      const along = axes.flatMap((axis, i) => (axis.moving.includes(access) ? [i] : []))
      if (along.length === 0) return base
      const start = along.reduce<Integer>(
        (sum, i) => i32.add(sum, i32.mul(indices[i]!, strideOf(code, axes[i]!, access))),
        base,
      )
      return fn.local('i32', 'base', start)
    })
    const item = fn.local('i32', 'item', begin)
    fn.loop((next) => {
      body(moved, indices, item)
      fn.increment(item, 1)
      if (axes.length > 0) emitAdvance(code, axes, indices, moved, axes.length - 1)
      fn.branchIf(next, i32.ltU(item, end))
    })
  })
}

/** Moves on by one along axis `level`, and at its end returns to its start and moves along the one outside. */
function emitAdvance(
  code: FusedCode,
  axes: readonly LoopAxis[],
  indices: readonly Local<'i32'>[],
  bases: Bases,
  level: number,
): void {
  const { fn } = code
  const axis = axes[level]!
  const index = indices[level]!
  const move = (word: 'stride' | 'return') => {
    for (const access of axis.moving)
      fn.increment(bases[access] as Local<'i32'>, code.word(`${axis.name}.${word}${access}`))
  }
  fn.increment(index, 1)
  if (level === 0) {
    move('stride')
    return
  }
  fn.if(
    i32.ltU(index, extentOf(code, axis)),
    () => move('stride'),
    () => {
      fn.set(index, 0)
      move('return')
      emitAdvance(code, axes, indices, bases, level - 1)
    },
  )
}

/** Nested loops over axes, outermost first. `range` limits the outermost one. The body gets the bases. */
export function emitLoops(
  code: FusedCode,
  axes: readonly LoopAxis[],
  bases: Bases,
  body: (bases: Bases) => void,
  range?: { readonly begin: Integer; readonly end: Integer },
): void {
  const [axis, ...inner] = axes
  if (!axis) {
    body(bases)
    return
  }
  const { fn } = code
  fn.scope(() => {
    const index = fn.local('i32', axis.name, range?.begin ?? 0)
    const end = fn.local('i32', `${axis.name}End`, range?.end ?? extentOf(code, axis))
    const moved = bases.map((base, access) => {
      if (!axis.moving.includes(access)) return base
      const start = range ? i32.add(base, i32.mul(index, strideOf(code, axis, access))) : base
      return fn.local('i32', 'base', start)
    })
    fn.while(i32.ltU(index, end), () => {
      emitLoops(code, inner, moved, body)
      fn.increment(index, 1)
      for (const access of axis.moving) fn.increment(moved[access] as Local<'i32'>, strideOf(code, axis, access))
    })
  })
}

/**
 * Runs the body over elements `begin` to `end` of the inner axis: as blocks of `count` vectors, then the rest vector by vector, of
 * which the last may be incomplete. `between` emits what comes after the whole blocks.
 */
export function emitBlocks(
  { fn }: FusedCode,
  count: number,
  begin: Integer,
  end: Local<'i32'>,
  body: (block: Block) => void,
  between: () => void = () => {},
): void {
  fn.scope(() => {
    const index = fn.local('i32', 'element', begin)
    const last = fn.local('i32', 'lastBlock', i32.sub(end, 4 * count))
    fn.while(i32.leS(index, last), () => {
      body({ count, index })
      fn.increment(index, 4 * count)
    })
    between()
    fn.while(i32.ltS(index, end), () => {
      const left = i32.sub(end, index)
      const lanes = fn.local('i32', 'lanes', 4)
      fn.if(i32.ltS(left, 4), () => fn.set(lanes, left))
      body({ count: 1, index, lanes })
      fn.increment(index, 4)
    })
  })
}
