import { i8x16, i32, type Local, type ScalarOrExpression, v128, type WasmFunction } from '@tessera/backend-wasm'
import { tileOf } from './tile.ts'

export type MantissaFormat = 'i8' | 'i16'

const parameters = {
  /** Byte offsets of the matrices of all batches. */
  offsets: 'i32',
  source: 'i32',
  packed: 'i32',
  unit: 'i32',
  /** Rows of the left or columns of the right matrix, and their step in bytes. */
  lines: 'i32',
  lineStep: 'i32',
  depth: 'i32',
  depthStep: 'i32',
} as const

const interleaved = (from: 0 | 4) => {
  const bytes = (lane: number) => [2 * lane, 2 * lane + 1]
  return [0, 1, 2, 3].flatMap((i) => [...bytes(from + i), ...bytes(8 + from + i)])
}

/**
 * Packs one panel of a matrix, as wide as the tile: for each pair of neighbours along the inner axis, the two numbers of every line as i16. What
 * the matrix does not have is zero.
 */
export function packFunction(format: MantissaFormat, side: 'left' | 'right'): WasmFunction<typeof parameters> {
  const name = `numerics-flexpoint/integer-pack ${format} ${side}`
  const bytes = format === 'i8' ? 1 : 2
  const one = (address: ScalarOrExpression<'i32'>) => (format === 'i8' ? i32.load8S(address) : i32.load16S(address))
  const eight = (address: ScalarOrExpression<'i32'>, place = 0) =>
    format === 'i8' ? v128.load8x8S(address, 8 * place) : v128.load(address, 16 * place)
  return {
    name,
    parameters,
    define: (module, { variant }) => {
      const tile = tileOf(variant)
      const width = side === 'left' ? tile.rows : 4 * tile.vectors
      return module.function(name, parameters, 'void', (fn, given) => {
        const { offsets, source, packed, unit, lines, lineStep, depth, depthStep } = given
        const panels = fn.local('i32', 'panels', i32.divU(i32.add(lines, width - 1), width))
        const pairBytes = 4 * width
        const pairs = fn.local('i32', 'pairs', i32.shrU(i32.add(depth, 1), 1))
        const offset = i32.load(i32.add(offsets, i32.mul(i32.divU(unit, panels), 4)))
        const first = fn.local('i32', 'first', i32.mul(i32.remU(unit, panels), width))
        const from = fn.local('i32', 'from', i32.add(i32.add(source, offset), i32.mul(first, lineStep)))
        const to = fn.local('i32', 'to', i32.add(packed, i32.mul(unit, i32.mul(pairs, pairBytes))))
        const count = fn.local('i32', 'count', i32.sub(lines, first))
        const rest = fn.local('i32', 'rest', depth)
        const twice = fn.local('i32', 'twice', i32.mul(depthStep, 2))
        const pointers = Array.from({ length: side === 'left' ? width : 4 }, () => fn.local('i32', 'line'))
        /** Lines whose numbers are adjacent along the inner axis. */
        const alongDepth = () => {
          for (let group = 0; group < width; group += pointers.length) {
            const line = fn.local('i32', 'start', i32.add(from, i32.mul(lineStep, group)))
            pointers.forEach((pointer) => {
              fn.set(pointer, line)
              fn.increment(line, lineStep)
            })
            const target = fn.local('i32', 'target', i32.add(to, 4 * group))
            fn.set(rest, depth)
            fn.while(i32.geS(rest, 8), () => {
              pointers.forEach((pointer, i) => {
                const numbers = fn.local('v128', 'numbers', eight(pointer))
                for (let pair = 0; pair < 4; pair++) fn.storeLane(32, target, numbers, pair, pair * pairBytes + 4 * i)
                fn.increment(pointer, 8 * bytes)
              })
              fn.increment(target, 4 * pairBytes)
              fn.increment(rest, -8)
            })
          }
        }
        /** Rows in which the lines are adjacent. */
        const acrossLines = () => {
          fn.while(i32.geS(rest, 2), () => {
            const next = fn.local('i32', 'next', i32.add(from, depthStep))
            for (let group = 0; group < width / 8; group++) {
              const upper = fn.local('v128', 'upper', eight(from, group))
              const lower = fn.local('v128', 'lower', eight(next, group))
              const halves = ([0, 4] as const).map((half) => i8x16.shuffle(upper, lower, interleaved(half)))
              halves.forEach((pairsOfLines, half) => {
                const line = 8 * group + 4 * half
                if (line + 4 <= width) fn.store('v128', to, pairsOfLines, 4 * line)
                else for (let i = line; i < width; i++) fn.storeLane(32, to, pairsOfLines, i - line, 4 * i)
              })
            }
            fn.increment(from, twice)
            fn.increment(to, pairBytes)
            fn.increment(rest, -2)
          })
        }
        fn.if(
          i32.geS(count, width),
          () => {
            fn.set(count, width)
            fn.if(
              i32.eq(depthStep, bytes),
              () => {
                alongDepth()
                const done = fn.local('i32', 'done', i32.sub(depth, rest))
                fn.increment(from, i32.mul(done, bytes))
                fn.increment(to, i32.mul(i32.shrU(done, 1), pairBytes))
              },
              // Rows are read by eight numbers, of which the tile may take fewer.
              () => fn.if(i32.and(i32.eq(lineStep, bytes), i32.geS(i32.sub(lines, first), 8)), acrossLines),
            )
          },
          () => fn.memoryFill(to, 0, i32.mul(pairs, pairBytes)),
        )
        fn.while(i32.gtS(rest, 0), () => {
          const line: Local<'i32'> = fn.local('i32', 'line', from)
          const target = fn.local('i32', 'target', to)
          fn.repeat(count, () => {
            fn.store16(target, one(line))
            fn.if(
              i32.geS(rest, 2),
              () => fn.store16(target, one(i32.add(line, depthStep)), 2),
              () => fn.store16(target, 0, 2),
            )
            fn.increment(target, 4)
            fn.increment(line, lineStep)
          })
          fn.increment(from, twice)
          fn.increment(to, pairBytes)
          fn.increment(rest, -2)
        })
      })
    },
  }
}
