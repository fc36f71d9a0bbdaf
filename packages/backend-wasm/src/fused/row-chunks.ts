import type { Local } from '../assembler/index.ts'
import { i32, v128 } from '../assembler/index.ts'
import type { FusedCode, Integer } from './code.ts'
import { type Bases, emitOdometer, emitShare } from './loops.ts'
import type { RowPlan } from './passes.ts'
import { accumulate, createAccumulator, laneResults, rowResult } from './reductions.ts'
import { type Part, type ReduceValue, RowEmitter, type RowLoops } from './row-pass.ts'
import { min } from './scalars.ts'

/**
 * Emits one pass over long rows of which there are few: threads share chunks of rows, whose bounds do not depend on the number of
 * threads, and leave what their reductions have seen in the shared scratch memory, 16 bytes for each chunk. Later passes join it,
 * always in the same order. The last function also writes what is stored once for each row.
 */
export function emitRowChunks(
  code: FusedCode,
  loops: RowLoops,
  bases: Bases,
  index: number,
  rowValues: readonly number[],
): void {
  const { fn, body } = code
  const emitter = new RowEmitter(code, loops)
  const { plan } = loops
  const pass = plan.passes[index]!
  const isLast = index === plan.passes.length - 1
  const used = [...new Set([...pass.values, ...(isLast ? rowValues : [])])].sort((a, b) => a - b)
  const hasWork = pass.reductions.length > 0 || pass.stores.length > 0
  emitter.invariants(used, bases)
  const chunks = fn.local('i32', 'chunks', code.word('chunks'))
  const share = emitShare(code, i32.mul(code.word('items'), chunks))
  const rows = {
    begin: fn.local('i32', 'firstRow', i32.divU(share.begin, chunks)),
    end: fn.local('i32', 'endRow', i32.divU(i32.sub(i32.add(share.end, chunks), 1), chunks)),
  }
  // A share of no chunks has no rows, even in the middle of one.
  fn.if(i32.eq(share.begin, share.end), () => fn.set(rows.end, rows.begin))
  emitOdometer(code, loops.outer, rows, bases, (moved, _, row) => {
    emitter.evaluator.scope(() => {
      for (let stage = 0; stage <= index; stage++) {
        emitter.rowValues(used, stage, moved)
        for (const id of used) {
          const value = body.values[id]!
          if (value.kind === 'reduce' && plan.level[id] === stage + 1) {
            emitter.evaluator.define(id, [code.keep(joinPartials(code, loops.plan, id, row, chunks))])
          }
        }
      }
      const rowStart = fn.local('i32', 'rowStart', i32.mul(row, chunks))
      const begin = fn.local('i32', 'chunk', 0)
      fn.if(i32.gtU(share.begin, rowStart), () => fn.set(begin, i32.sub(share.begin, rowStart)))
      if (isLast && plan.rowStores.length > 0) fn.if(i32.eqz(begin), () => emitter.storeRow(moved))
      if (!hasWork) return
      const end = fn.local('i32', 'endChunk', min(code, i32.sub(share.end, rowStart), chunks))
      fn.while(i32.ltU(begin, end), () => {
        emitter.evaluator.scope(() => {
          const part = chunkOfRow(code, loops, begin)
          emitter.pass(pass, moved, part, new Set()).forEach((accumulator, r) => {
            const id = pass.reductions[r]!
            const address = partialAddress(code, plan, id, row, begin)
            fn.store('v128', address, laneResults(body.values[id] as ReduceValue, accumulator))
          })
        })
        fn.increment(begin, 1)
      })
    })
  })
}

/** Chunk number `chunk` of a row: some segments, or a block of one segment. */
function chunkOfRow(code: FusedCode, { middle }: RowLoops, chunk: Local<'i32'>): Part {
  const { fn } = code
  const blocks = fn.local('i32', 'blocks', code.word('blocksPerSegment'))
  const begin = fn.local('i32', 'first', i32.mul(i32.remU(chunk, blocks), code.word('blockSize')))
  const end = fn.local('i32', 'end', min(code, i32.add(begin, code.word('blockSize')), code.word('innerExtent')))
  if (middle.length === 0) return { segments: undefined, begin, end }
  const each = code.word('segmentsPerChunk')
  const first = fn.local('i32', 'firstSegment', i32.mul(i32.divU(chunk, blocks), each))
  const last = fn.local('i32', 'endSegment', min(code, i32.add(first, each), code.word('segments')))
  return { segments: { begin: first, end: last }, begin, end }
}

/** Position of a reduction among all of the body. */
function reductionIndex({ passes }: RowPlan, id: number): number {
  return passes.flatMap(({ reductions }) => reductions).indexOf(id)
}

function partialAddress(code: FusedCode, plan: RowPlan, id: number, row: Integer, chunk: Integer): Integer {
  const rowIndex = i32.add(i32.mul(code.word('items'), reductionIndex(plan, id)), row)
  const position = i32.add(i32.mul(rowIndex, code.word('chunks')), chunk)
  return i32.add(code.fn.parameters.sharedScratch, i32.shl(position, 4))
}

/** The result of a reduction from what all chunks of a row have seen. */
function joinPartials(code: FusedCode, plan: RowPlan, id: number, row: Local<'i32'>, chunks: Local<'i32'>) {
  const { fn } = code
  const reduction = code.body.values[id] as ReduceValue
  const accumulator = createAccumulator(code, reduction)
  const at = fn.local('i32', 'partial', partialAddress(code, plan, id, row, i32.const(0)))
  fn.repeat(chunks, () => {
    accumulate(code, reduction, accumulator, v128.load(at))
    fn.increment(at, 16)
  })
  return rowResult(code, reduction, accumulator)
}
