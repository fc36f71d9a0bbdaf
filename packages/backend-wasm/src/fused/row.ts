import type { Local } from '../assembler/index.ts'
import { i32, v128 } from '../assembler/index.ts'
import { type Block, loadBlock, storeBlock, storeFirst } from './access.ts'
import { type Value, variesInner } from './body.ts'
import type { FusedCode, Integer } from './code.ts'
import { Evaluator } from './evaluator.ts'
import { type Bases, emitBlocks, emitOdometer, emitShare, type LoopAxis } from './loops.ts'
import { isPerElement, type RowPass, type RowPlan } from './passes.ts'
import {
  type Accumulator,
  accumulate,
  accumulateProduct,
  createAccumulator,
  joinAccumulators,
  joinBytes,
  laneResults,
  rowResult,
} from './reductions.ts'
import { min } from './scalars.ts'

/** How a row body is run. */
export interface RowLoops {
  readonly plan: RowPlan
  /** Axes of the rows, outermost first. */
  readonly outer: readonly LoopAxis[]
  /** Axes within a row but the innermost. */
  readonly middle: readonly LoopAxis[]
  readonly vectors: number
  /** True when rows are so long that sums are made block by block, so that rounding errors stay small. */
  readonly long: boolean
}

type ReduceValue = Extract<Value, { kind: 'reduce' }>

/** A part of a row: some of its segments (runs of the inner axis), and of each the elements `[begin, end)`. */
interface Part {
  readonly segments: { readonly begin: Local<'i32'>; readonly end: Local<'i32'> } | undefined
  readonly begin: Integer
  readonly end: Local<'i32'>
}

/** What the emitters of one row function share. */
export class RowEmitter {
  readonly code: FusedCode
  readonly evaluator: Evaluator
  readonly loops: RowLoops

  constructor(code: FusedCode, loops: RowLoops) {
    this.code = code
    this.loops = loops
    this.evaluator = new Evaluator(code, (value) => loops.plan.slots.has(value))
  }

  /** Emits what does not even vary from row to row, out of `values`. */
  invariants(values: readonly number[], bases: Bases): void {
    const { variation } = this.code.body
    this.evaluator.splats(
      values.filter((id) => variation[id] === 0),
      bases,
    )
  }

  /** Emits the per-row values, out of `values`, that need `pass` passes to be over. */
  rowValues(values: readonly number[], pass: number, bases: Bases): void {
    const { body } = this.code
    const { level } = this.loops.plan
    this.evaluator.splats(
      values.filter((id) => !isPerElement(body, id) && body.values[id]!.kind !== 'reduce' && level[id] === pass),
      bases,
    )
  }

  /** Emits a pass over a part of a row; gives for each of its reductions what it has seen. */
  pass(pass: RowPass, bases: Bases, part: Part, kept: ReadonlySet<number>): Accumulator[] {
    const { code, loops } = this
    const { body } = code
    const reductions = pass.reductions.map((id) => body.values[id] as ReduceValue)
    // Whole blocks have an accumulator for each of their vectors; `totals` takes those in, and single vectors.
    const totals = reductions.map((reduction) => createAccumulator(code, reduction))
    const position = this.#scratchPosition(pass, kept)
    this.#segments(bases, part, (moved) => {
      this.evaluator.scope(() => {
        const { fn } = code
        this.evaluator.splats(
          pass.values.filter((id) => isPerElement(body, id) && !(body.variation[id]! & variesInner)),
          moved,
        )
        const stretch = (begin: Integer, end: Local<'i32'>): void =>
          this.evaluator.scope(() => {
            const running = reductions.map((reduction) =>
              Array.from({ length: loops.vectors }, () => createAccumulator(code, reduction)),
            )
            emitBlocks(
              code,
              loops.vectors,
              begin,
              end,
              (block) => this.#elements(pass, moved, block, block.lanes ? totals.map((total) => [total]) : running, position, kept),
              () => reductions.forEach((reduction, r) => joinAccumulators(code, reduction, totals[r]!, running[r]!)),
            )
          })
        if (!loops.long) stretch(part.begin, part.end)
        else {
          const from = fn.local('i32', 'from', part.begin)
          fn.while(i32.ltS(from, part.end), () => {
            const to = fn.local('i32', 'to', min(code, i32.add(from, sumBlock), part.end))
            stretch(from, to)
            fn.set(from, to)
          })
        }
        if (position) fn.increment(position, i32.shl(code.word('innerExtent'), 2))
      })
    })
    return totals
  }

  /** Writes the values that are stored once for each row. */
  storeRow(bases: Bases): void {
    const { body } = this.code
    for (const store of this.loops.plan.rowStores) {
      const { access, value } = body.stores[store]!
      storeFirst(this.code, access, bases[access]!, this.evaluator.get(value, 0))
    }
  }

  /** Where the current segment's elements are in each row of the scratch memory, if the pass uses it. */
  #scratchPosition(pass: RowPass, kept: ReadonlySet<number>): Local<'i32'> | undefined {
    if (pass.restored.size === 0 && kept.size === 0) return undefined
    return this.code.fn.local('i32', 'position', i32.add(this.code.fn.parameters.threadScratch, joinBytes))
  }

  #segments(bases: Bases, { segments }: Part, body: (bases: Bases) => void): void {
    if (segments) emitOdometer(this.code, this.loops.middle, segments, bases, body)
    else body(bases)
  }

  #elements(
    pass: RowPass,
    bases: Bases,
    block: Block,
    running: readonly (readonly Accumulator[])[],
    position: Local<'i32'> | undefined,
    kept: ReadonlySet<number>,
  ): void {
    const { code, evaluator } = this
    const { fn, body } = code
    evaluator.scope(() => {
      for (const [id, access] of pass.reloaded) evaluator.define(id, loadBlock(code, access, bases[access]!, block))
      const at = position && fn.local('i32', 'scratch', i32.add(position, i32.shl(block.index, 2)))
      const slot = (id: number): Integer => i32.add(at!, i32.mul(code.word('rowBytes'), this.loops.plan.slots.get(id)!))
      for (const id of pass.restored) {
        const address = fn.local('i32', 'restored', slot(id))
        evaluator.define(id, vectorsOf(block, (u) => code.keep(v128.load(address, 16 * u))))
      }
      evaluator.block(
        pass.values.filter((id) => body.values[id]!.kind !== 'reduce'),
        bases,
        block,
      )
      for (const id of kept) {
        const address = fn.local('i32', 'kept', slot(id))
        for (let u = 0; u < block.count; u++) fn.store('v128', address, evaluator.get(id, u), 16 * u)
      }
      const mask = block.lanes && pass.reductions.length > 0 ? code.keep(code.laneMask(block.lanes)) : undefined
      pass.reductions.forEach((id, r) => {
        const reduction = body.values[id] as ReduceValue
        const factors = evaluator.absorbedFactors(reduction.argument)
        for (let u = 0; u < block.count; u++) {
          const into = running[r]![u]!
          if (factors) accumulateProduct(code, into, evaluator.get(factors[0], u), evaluator.get(factors[1], u), mask)
          else accumulate(code, reduction, into, evaluator.get(reduction.argument, u), mask)
        }
      })
      for (const store of pass.stores) {
        const { access, value } = body.stores[store]!
        storeBlock(code, access, bases[access]!, block, vectorsOf(block, (u) => evaluator.get(value, u)))
      }
    })
  }
}

/** Elements whose sum is made at a time in long rows. */
export const sumBlock = 1024

const vectorsOf = <T>(block: Block, make: (u: number) => T): T[] => Array.from({ length: block.count }, (_, u) => make(u))

/** Everything that some pass or row store uses, in order. */
function usedValues({ passes }: RowPlan, rowValues: readonly number[]): number[] {
  return [...new Set([...passes.flatMap(({ values }) => values), ...rowValues])].sort((a, b) => a - b)
}

/** Values that are kept in scratch memory in each pass: in the first that computes them. */
function keptIn({ passes, slots }: RowPlan): ReadonlySet<number>[] {
  const done = new Set<number>()
  return passes.map(({ values }) => {
    const kept = values.filter((id) => slots.has(id) && !done.has(id))
    for (const id of kept) done.add(id)
    return new Set(kept)
  })
}

/** Emits the function that runs whole rows: threads share the rows. `rowValues` are those that row stores need. */
export function emitRows(code: FusedCode, loops: RowLoops, bases: Bases, rowValues: readonly number[]): void {
  const { fn, body } = code
  const emitter = new RowEmitter(code, loops)
  const { plan } = loops
  const used = usedValues(plan, rowValues)
  const kept = keptIn(plan)
  emitter.invariants(used, bases)
  emitOdometer(code, loops.outer, emitShare(code, code.word('items')), bases, (moved) => {
    emitter.evaluator.scope(() => {
      plan.passes.forEach((pass, index) => {
        emitter.rowValues(used, index, moved)
        const hasWork = pass.reductions.length > 0 || pass.stores.length > 0
        if (!hasWork) return
        const results: Local<'v128'>[] = pass.reductions.map(() => fn.local('v128', 'result'))
        emitter.evaluator.scope(() => {
          const part = wholeRow(code, loops)
          emitter.pass(pass, moved, part, kept[index]!).forEach((accumulator, r) => {
            const reduction = body.values[pass.reductions[r]!] as ReduceValue
            fn.set(results[r]!, rowResult(code, reduction, accumulator))
          })
        })
        pass.reductions.forEach((id, r) => emitter.evaluator.define(id, [results[r]!]))
      })
      emitter.storeRow(moved)
    })
  })
}

function wholeRow(code: FusedCode, { middle }: RowLoops): Part {
  const { fn } = code
  const end = fn.local('i32', 'end', code.word('innerExtent'))
  const segments =
    middle.length === 0
      ? undefined
      : { begin: fn.local('i32', 'firstSegment', 0), end: fn.local('i32', 'endSegment', code.word('segments')) }
  return { segments, begin: i32.const(0), end }
}

/**
 * Emits one pass over long rows of which there are few: threads share chunks of rows, whose bounds do not depend on the number of
 * threads, and leave what their reductions have seen in the shared scratch memory, 16 bytes for each chunk. Later passes join it,
 * always in the same order. The last function also writes what is stored once for each row.
 */
export function emitRowChunks(code: FusedCode, loops: RowLoops, bases: Bases, index: number, rowValues: readonly number[]): void {
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
