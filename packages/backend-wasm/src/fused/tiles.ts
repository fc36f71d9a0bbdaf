import type { Local } from '../assembler/index.ts'
import { i32, v128 } from '../assembler/index.ts'
import type { FusedCode, Vector } from './code.ts'
import type { Bases, LoopAxis } from './loops.ts'
import type { MapEmitter } from './map.ts'

/** Elements of the inner axis in a tile: a cache line of floats. */
export const tileWidth = 16

/** A map body whose loads are contiguous along different axes. */
export interface TileLoops {
  /** The axis along which the `crossing` loads are contiguous. */
  readonly axis: LoopAxis
  readonly crossing: readonly number[]
}

/**
 * Emits elements `begin` to `end` of the inner axis, at most `tileWidth`, for all of the other axis. Whole tiles go four rows and four
 * elements at a time: a crossing load takes four vectors along its own axis and transposes them in registers.
 */
export function emitTiles(
  emitter: MapEmitter,
  { axis, crossing }: TileLoops,
  bases: Bases,
  begin: Local<'i32'>,
  end: Local<'i32'>,
): void {
  const { code } = emitter
  const { fn } = code
  const extent = fn.local('i32', 'rows', code.word(`${axis.name}.extent`))
  const done = fn.local('i32', 'done', 0)
  const stride = (access: number) => code.word(`${axis.name}.stride${access}`)
  const moving = bases.map((base, access) => (axis.moving.includes(access) ? fn.local('i32', 'rowBase', base) : base))
  const advance = (rows: number): void => {
    fn.increment(done, rows)
    for (const access of axis.moving) fn.increment(moving[access] as Local<'i32'>, i32.mul(stride(access), rows))
  }
  fn.if(i32.eq(i32.sub(end, begin), tileWidth), () => {
    fn.while(i32.leU(i32.add(done, 4), extent), () => {
      const rows = fourRows(code, axis, moving)
      fn.forRange(begin, end, 4, (index) => {
        const squares = crossing.map((access) => loadTransposed(code, access, moving[access]!, index))
        rows.forEach((row, u) => {
          emitter.evaluator.scope(() => {
            emitter.rowValues(row)
            code.body.values.forEach((value, id) => {
              const position = value.kind === 'load' ? crossing.indexOf(value.access) : -1
              if (position >= 0) emitter.evaluator.define(id, [squares[position]![u]!])
            })
            emitter.elements(row, { count: 1, index })
          })
        })
      })
      advance(4)
    })
  })
  fn.while(i32.ltU(done, extent), () => {
    emitter.row(moving, begin, end)
    advance(1)
  })
}

/** The bases of a row and of the three after it. */
function fourRows(code: FusedCode, axis: LoopAxis, bases: Bases): Bases[] {
  const rows: Bases[] = [bases]
  for (let row = 1; row < 4; row++) {
    const before = rows[row - 1]!
    rows.push(
      before.map((base, access) =>
        axis.moving.includes(access)
          ? code.fn.local('i32', 'rowBase', i32.add(base, code.word(`${axis.name}.stride${access}`)))
          : base,
      ),
    )
  }
  return rows
}

/** Four elements of the inner axis times four rows, loaded along the rows' axis: the vector of each row. */
function loadTransposed(code: FusedCode, access: number, base: Bases[number], index: Local<'i32'>): Vector[] {
  const { fn } = code
  const at = fn.local('i32', 'at', i32.add(base, i32.mul(index, code.step(access))))
  const next = (): Vector => {
    const loaded = fn.local('v128', 'crossing', v128.load(at))
    fn.increment(at, code.step(access))
    return loaded
  }
  const [a, b, c, d] = [next(), next(), next(), next()]
  const low = code.keep(v128.shuffle32(a, b, [0, 4, 1, 5]))
  const high = code.keep(v128.shuffle32(c, d, [0, 4, 1, 5]))
  const lowRest = code.keep(v128.shuffle32(a, b, [2, 6, 3, 7]))
  const highRest = code.keep(v128.shuffle32(c, d, [2, 6, 3, 7]))
  return [
    code.keep(v128.shuffle32(low, high, [0, 1, 4, 5])),
    code.keep(v128.shuffle32(low, high, [2, 3, 6, 7])),
    code.keep(v128.shuffle32(lowRest, highRest, [0, 1, 4, 5])),
    code.keep(v128.shuffle32(lowRest, highRest, [2, 3, 6, 7])),
  ]
}
