import type { Local } from '../assembler/index.ts'
import { i32 } from '../assembler/index.ts'
import type { FusedCode } from './code.ts'
import { type Bases, emitOdometer, emitShare } from './loops.ts'
import type { RowPlan } from './passes.ts'
import { rowResult } from './reductions.ts'
import { type Part, type ReduceValue, RowEmitter, type RowLoops } from './row-pass.ts'

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

/** Emits the function that runs whole rows: threads share the rows, unless a range of them is given. `rowValues` are those that row stores need. */
export function emitRows(
  code: FusedCode,
  loops: RowLoops,
  bases: Bases,
  rowValues: readonly number[],
  range?: ReturnType<typeof emitShare>,
): void {
  const { fn, body } = code
  const emitter = new RowEmitter(code, loops)
  const { plan } = loops
  const used = usedValues(plan, rowValues)
  const kept = keptIn(plan)
  emitter.invariants(used, bases)
  emitOdometer(code, loops.outer, range ?? emitShare(code, code.word('items')), bases, (moved) => {
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
        for (const [r, id] of pass.reductions.entries()) emitter.evaluator.define(id, [results[r]!])
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
