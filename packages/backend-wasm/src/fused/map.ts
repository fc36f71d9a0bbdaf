import type { Local } from '../assembler/index.ts'
import { i32 } from '../assembler/index.ts'
import { type Block, storeBlock } from './access.ts'
import { variesInner, variesOuter } from './body.ts'
import type { FusedCode, Integer } from './code.ts'
import { Evaluator, needed } from './evaluator.ts'
import { type Bases, emitBlocks, emitOdometer, emitShare, type LoopAxis } from './loops.ts'
import { min } from './scalars.ts'
import { emitTiles, type TileLoops } from './tiles.ts'

/** How a map body is run: the loops around its vectors. */
export interface MapLoops {
  /** Outermost first. The axis named `block` counts blocks of `blockSize` elements of the inner axis. */
  readonly axes: readonly LoopAxis[]
  /** Vectors that one round of the innermost loop computes. */
  readonly vectors: number
  /** A further axis, innermost of all but the vectors', along which loads are contiguous that are not so along the vectors. */
  readonly tiles: TileLoops | undefined
}

/** The emitter of a map body's elements. */
export class MapEmitter {
  readonly code: FusedCode
  readonly evaluator: Evaluator
  readonly #perRow: readonly number[]
  readonly #perElement: readonly number[]
  readonly #vectors: number

  constructor(code: FusedCode, vectors: number, bases: Bases) {
    const { body } = code
    this.code = code
    this.evaluator = new Evaluator(code)
    this.#vectors = vectors
    const values = needed(
      body,
      body.stores.map(({ value }) => value),
    )
    const variation = (id: number): number => body.variation[id]!
    this.evaluator.splats(
      values.filter((id) => variation(id) === 0),
      bases,
    )
    this.#perRow = values.filter((id) => variation(id) === variesOuter)
    this.#perElement = values.filter((id) => variation(id) & variesInner)
  }

  /** Emits elements `begin` to `end` of the inner axis. */
  row(bases: Bases, begin: Integer, end: Local<'i32'>): void {
    this.evaluator.scope(() => {
      this.rowValues(bases)
      emitBlocks(this.code, this.#vectors, begin, end, (block) => {
        this.evaluator.scope(() => this.elements(bases, block))
      })
    })
  }

  /** Emits the values that are the same along the inner axis. */
  rowValues(bases: Bases): void {
    this.evaluator.splats(this.#perRow, bases)
  }

  /** Emits and stores the values of a block. */
  elements(bases: Bases, block: Block): void {
    const { code, evaluator } = this
    evaluator.block(this.#perElement, bases, block)
    for (const { access, value } of code.body.stores) {
      const stored = Array.from({ length: block.count }, (_, u) => evaluator.get(value, u))
      storeBlock(code, access, bases[access]!, block, stored)
    }
  }
}

/** Emits the function of a map body: items are blocks of the inner axis, and threads share the items. */
export function emitMap(code: FusedCode, { axes, vectors, tiles }: MapLoops, bases: Bases): void {
  const { fn } = code
  const emitter = new MapEmitter(code, vectors, bases)
  emitOdometer(code, axes, emitShare(code, code.word('items')), bases, (moved, indices) => {
    fn.scope(() => {
      const block = indices[axes.findIndex(({ name }) => name === 'block')]!
      const begin = fn.local('i32', 'first', i32.mul(block, code.word('blockSize')))
      const end = fn.local('i32', 'end', min(code, i32.add(begin, code.word('blockSize')), code.word('innerExtent')))
      if (tiles) emitTiles(emitter, tiles, moved, begin, end)
      else emitter.row(moved, begin, end)
    })
  })
}
