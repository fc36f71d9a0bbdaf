import { f32x4, i32, i32x4 } from '../assembler/index.ts'
import { type Block, loadBlock, loadSplat, storeBlock } from './access.ts'
import type { FusedCode } from './code.ts'
import { type Bases, emitBlocks, emitLoops, emitOdometer, emitShare, type LoopAxis } from './loops.ts'
import { laneKindOf, wrapLanes } from './operations.ts'
import { min } from './scalars.ts'

/** Positions of the accesses of a scatter body. */
export const scatterAccess = { updates: 0, indices: 1, output: 2 } as const

/** How a scatter is run. */
export interface ScatterLoops {
  /** Axes that threads share, outermost first, with an axis `block` of the inner axis among them. */
  readonly axes: readonly LoopAxis[]
  /** Axes of the indices, in their own order: one thread takes all updates of an element one after the other. */
  readonly updates: readonly LoopAxis[]
  readonly mode: 'add' | 'set'
  readonly vectors: number
}

/** Emits the function that adds updates to what the output holds, or puts them in its place. Indices out of range are passed over. */
export function emitScatter(code: FusedCode, { axes, updates, mode, vectors }: ScatterLoops, bases: Bases): void {
  const { fn, body } = code
  const { dtype } = body.accesses[scatterAccess.output]!
  emitOdometer(code, axes, emitShare(code, code.word('items')), bases, (moved, indices) => {
    fn.scope(() => {
      const block = indices[axes.findIndex(({ name }) => name === 'block')]!
      const begin = fn.local('i32', 'first', i32.mul(block, code.word('blockSize')))
      const end = fn.local('i32', 'end', min(code, i32.add(begin, code.word('blockSize')), code.word('innerExtent')))
      emitLoops(code, updates, moved, (at) => {
        fn.scope(() => {
          const index = fn.local(
            'i32',
            'target',
            i32x4.extractLane(loadSplat(code, scatterAccess.indices, at[scatterAccess.indices]!), 0),
          )
          // Negative indices are large unsigned ones.
          fn.if(i32.ltU(index, code.word('extent')), () => {
            const target = fn.local(
              'i32',
              'output',
              i32.add(at[scatterAccess.output]!, i32.mul(index, code.word('stride'))),
            )
            emitBlocks(code, vectors, begin, end, (elements) => fn.scope(() => update(elements, at, target)))
          })
        })
      })
    })
  })

  function update(elements: Block, at: Bases, target: Bases[number]): void {
    const given = loadBlock(code, scatterAccess.updates, at[scatterAccess.updates]!, elements)
    const old = mode === 'add' ? loadBlock(code, scatterAccess.output, target, elements) : undefined
    const isFloat = laneKindOf(dtype) === 'float'
    const results = given.map((value, u) => {
      if (!old) return value
      return isFloat ? f32x4.add(old[u]!, value) : wrapLanes(i32x4.add(old[u]!, value), dtype)
    })
    storeBlock(code, scatterAccess.output, target, elements, results)
  }
}
