import { i32 } from '../assembler/index.ts'
import { type Block, storeBlock } from './access.ts'
import { type LoweredBody, type Value, variesInner, variesMiddle } from './body.ts'
import type { FusedCode } from './code.ts'
import { Evaluator, needed } from './evaluator.ts'
import { type Bases, emitBlocks, emitLoops, emitOdometer, emitShare, type LoopAxis } from './loops.ts'
import { accumulate, accumulateProduct, createAccumulator, laneResults } from './reductions.ts'
import { min } from './scalars.ts'

/** How a column body is run. */
export interface ColumnLoops {
  /** Outermost first, with the axes `chunk` (of the first reduced axis) and `block` (of the inner axis) among them. */
  readonly axes: readonly LoopAxis[]
  /** Reduced axes, outermost first. */
  readonly reduced: readonly LoopAxis[]
  /** Vectors whose results are in registers at a time. */
  readonly vectors: number
}

type ReduceValue = Extract<Value, { kind: 'reduce' }>

/**
 * Whether all of a body's operands are whole vectors of words, or the same in all lanes. With others V8 13.6 joins running results wrongly where they are stored side
 * by side as vectors, from where its revectoriser starts.
 */
const isRegular = ({ accesses }: LoweredBody): boolean =>
  accesses.every(
    ({ kind, inner, bytes }) => kind !== 'iota' && (inner === 'splat' || (inner === 'vector' && bytes === 4)),
  )

/**
 * Emits the function of a column body: each item is a block of neighbouring kept elements and a chunk of what is reduced for them;
 * running results stay in registers while the reduced axes go by.
 */
export function emitColumn(code: FusedCode, { axes, reduced, vectors }: ColumnLoops, bases: Bases): void {
  const { fn, body } = code
  const evaluator = new Evaluator(code)
  const inHalves = code.environment.variant === 'wide' && !isRegular(body)
  const isReduction = (id: number): boolean => body.values[id]!.kind === 'reduce'
  const elementStores = body.stores.filter(({ value }) => !isReduction(value))
  const results = body.stores
    .filter(({ value }) => isReduction(value))
    .map(({ access, value }) => ({ access, reduction: body.values[value] as ReduceValue }))
  const values = needed(body, [
    ...results.map(({ reduction }) => reduction.argument),
    ...elementStores.map(({ value }) => value),
  ])
  const chosen = (test: (variation: number) => boolean): number[] => values.filter((id) => test(body.variation[id]!))
  const varies = variesInner | variesMiddle
  evaluator.splats(
    chosen((variation) => variation === 0),
    bases,
  )
  const perItem = chosen((variation) => variation !== 0 && (variation & varies) === 0)
  const perColumn = chosen((variation) => (variation & varies) === variesInner)
  const perRow = chosen((variation) => (variation & varies) === variesMiddle)
  const perElement = chosen((variation) => (variation & varies) === varies)

  const columns = (moved: Bases, block: Block, rows: Parameters<typeof emitLoops>[4]): void => {
    evaluator.scope(() => {
      evaluator.block(perColumn, moved, block)
      const running = results.map(({ reduction }) =>
        Array.from({ length: block.count }, () => createAccumulator(code, reduction)),
      )
      const everyRow = (row: Bases): void =>
        evaluator.scope(() => {
          evaluator.splats(perRow, row)
          evaluator.block(perElement, row, block)
          results.forEach(({ reduction }, r) => {
            const factors = evaluator.absorbedFactors(reduction.argument)
            for (let u = 0; u < block.count; u++) {
              const into = running[r]![u]!
              if (factors) accumulateProduct(code, into, evaluator.get(factors[0], u), evaluator.get(factors[1], u))
              else accumulate(code, reduction, into, evaluator.get(reduction.argument, u))
            }
          })
          for (const { access, value } of elementStores) {
            const stored = Array.from({ length: block.count }, (_, u) => evaluator.get(value, u))
            storeBlock(code, access, row[access]!, block, stored)
          }
        })
      emitLoops(code, reduced, moved, everyRow, rows)
      results.forEach(({ access, reduction }, r) => {
        const finished = running[r]!.map((accumulator) => code.keep(laneResults(reduction, accumulator)))
        storeBlock(code, access, moved[access]!, block, finished, inHalves)
      })
    })
  }

  emitOdometer(code, axes, emitShare(code, code.word('items')), bases, (moved, indices) => {
    evaluator.scope(() => {
      evaluator.splats(perItem, moved)
      const indexOf = (name: string) => indices[axes.findIndex((axis) => axis.name === name)]!
      const begin = fn.local('i32', 'first', i32.mul(indexOf('block'), code.word('blockSize')))
      const end = fn.local('i32', 'end', min(code, i32.add(begin, code.word('blockSize')), code.word('innerExtent')))
      const rows = fn.local('i32', 'firstReduced', i32.mul(indexOf('chunk'), code.word('chunkSize')))
      const range = {
        begin: rows,
        end: fn.local(
          'i32',
          'endReduced',
          min(code, i32.add(rows, code.word('chunkSize')), code.word('chunkedExtent')),
        ),
      }
      emitBlocks(code, vectors, begin, end, (block) => {
        columns(moved, block, reduced.length > 0 ? range : undefined)
      })
    })
  })
}
