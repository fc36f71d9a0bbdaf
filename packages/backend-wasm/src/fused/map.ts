import { i32 } from '../assembler/index.ts'
import { storeBlock } from './access.ts'
import { variesInner, variesOuter } from './body.ts'
import type { FusedCode } from './code.ts'
import { Evaluator, needed } from './evaluator.ts'
import { type Bases, emitBlocks, emitOdometer, emitShare, type LoopAxis } from './loops.ts'
import { min } from './scalars.ts'

/** How a map body is run: the loops around its vectors. */
export interface MapLoops {
  /** Outermost first. The axis named `block` counts blocks of `blockSize` elements of the inner axis. */
  readonly axes: readonly LoopAxis[]
  /** Vectors that one round of the innermost loop computes. */
  readonly vectors: number
}

/** Emits the function of a map body: items are blocks of the inner axis, and threads share the items. */
export function emitMap(code: FusedCode, { axes, vectors }: MapLoops, bases: Bases): void {
  const { fn, body } = code
  const evaluator = new Evaluator(code)
  const values = needed(
    body,
    body.stores.map(({ value }) => value),
  )
  const variation = (id: number): number => body.variation[id]!
  evaluator.splats(
    values.filter((id) => variation(id) === 0),
    bases,
  )
  const perRow = values.filter((id) => variation(id) === variesOuter)
  const perElement = values.filter((id) => variation(id) & variesInner)
  emitOdometer(code, axes, emitShare(code, code.word('items')), bases, (moved, indices) => {
    evaluator.scope(() => {
      evaluator.splats(perRow, moved)
      const block = indices[axes.findIndex(({ name }) => name === 'block')]!
      const begin = fn.local('i32', 'first', i32.mul(block, code.word('blockSize')))
      const end = fn.local('i32', 'end', min(code, i32.add(begin, code.word('blockSize')), code.word('innerExtent')))
      emitBlocks(code, vectors, begin, end, (elements) => {
        evaluator.scope(() => {
          evaluator.block(perElement, moved, elements)
          for (const { access, value } of body.stores) {
            const stored = Array.from({ length: elements.count }, (_, u) => evaluator.get(value, u))
            storeBlock(code, access, moved[access]!, elements, stored)
          }
        })
      })
    })
  })
}
