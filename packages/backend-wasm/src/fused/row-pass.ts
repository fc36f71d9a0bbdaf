import type { Local } from '../assembler/index.ts'
import { i32, v128 } from '../assembler/index.ts'
import { type Block, loadBlock, storeBlock, storeFirst } from './access.ts'
import { type Value, variesInner } from './body.ts'
import { type FusedCode, type Integer, joinBytes } from './code.ts'
import { Evaluator } from './evaluator.ts'
import { type Bases, emitBlocks, emitOdometer, type LoopAxis } from './loops.ts'
import { isPerElement, type RowPass, type RowPlan } from './passes.ts'
import { type Accumulator, accumulate, accumulateProduct, createAccumulator, joinAccumulators } from './reductions.ts'
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

export type ReduceValue = Extract<Value, { kind: 'reduce' }>

/** A part of a row: some of its segments (runs of the inner axis), and of each the elements `[begin, end)`. */
export interface Part {
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
              (block) =>
                this.#elements(
                  pass,
                  moved,
                  block,
                  block.lanes ? totals.map((total) => [total]) : running,
                  position,
                  kept,
                ),
              () => {
                for (const [r, reduction] of reductions.entries())
                  joinAccumulators(code, reduction, totals[r]!, running[r]!)
              },
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
        evaluator.define(
          id,
          vectorsOf(block, (u) => code.keep(v128.load(address, 16 * u))),
        )
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
        storeBlock(
          code,
          access,
          bases[access]!,
          block,
          vectorsOf(block, (u) => evaluator.get(value, u)),
        )
      }
    })
  }
}

/** Elements whose sum is made at a time in long rows. */
export const sumBlock = 1024

const vectorsOf = <T>(block: Block, make: (u: number) => T): T[] =>
  Array.from({ length: block.count }, (_, u) => make(u))
