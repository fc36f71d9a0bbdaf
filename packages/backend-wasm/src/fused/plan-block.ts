import type { FusedBody } from '@tessera/core'
import type { Local } from '../assembler/index.ts'
import { i32 } from '../assembler/index.ts'
import type { WasmFunction } from '../program/contract.ts'
import { type LoweredBody, lowerBody, type PlacedOperand, structureOf, variesOuter } from './body.ts'
import type { FusedCode } from './code.ts'
import { generatedFunction } from './generate.ts'
import { type Bases, emitOdometer, type LoopAxis } from './loops.ts'
import { MapEmitter } from './map.ts'
import { chooseVectors, commonWords, loopAxes, type Part } from './parts.ts'
import { prepareRows } from './plan-row.ts'
import { emitRows } from './row.ts'
import { min } from './scalars.ts'
import type { Words } from './words.ts'

/**
 * How a result is divided into units: rectangles of rows and columns, in order of batches, rows, columns. The domain of a body over it is
 * `[…batch axes, m, n]`.
 */
export interface Blocks {
  /** Rows and columns of a unit, and how many units there are along both. */
  readonly rows: number
  readonly columns: number
  readonly rowUnits: number
  readonly columnUnits: number
  readonly m: number
  readonly n: number
}

/** The function that runs a body on one unit, and the scratch memory of each thread that it needs from its beginning on. */
export interface BlockPart extends Part {
  readonly threadScratchBytes: number
}

/**
 * How the epilogue of a call runs: after each unit of the call, on the part of the result that the unit computed. Input operands that are
 * placed in the scratch memory of the thread hold that part only, row-major, as wide as a unit.
 *
 * @param body a map, or rows of one axis whose units have all columns
 */
export function planBlock(
  body: FusedBody,
  inputs: readonly PlacedOperand[],
  outputs: readonly PlacedOperand[],
  blocks: Blocks,
): BlockPart {
  const lowered = lowerBody(body, inputs, outputs, true)
  const words = commonWords(lowered)
  const axes = loopAxes(words, lowered, 'outer', lowered.outer, variesOuter)
  words.integer('unitsPerBatch', blocks.rowUnits * blocks.columnUnits)
  words.integer('columnUnits', blocks.columnUnits)
  words.integer('unitRows', blocks.rows)
  words.integer('unitColumns', blocks.columns)
  const row = axes.slice(-1)
  if (lowered.kind === 'row') {
    const { loops, rowValues, structure, scratchBytes } = prepareRows(lowered, words, row)
    const emitted = blockFunction(`rows|${structure}`, lowered, words, axes, (code, bases, { rows }) =>
      emitRows(code, loops, bases, rowValues, rows),
    )
    return { function: emitted, body: lowered, words, threadScratchBytes: scratchBytes }
  }
  const vectors = chooseVectors(lowered)
  const structure = `map|${structureOf(lowered)}|${vectors}`
  const emitted = blockFunction(structure, lowered, words, axes, (code, bases, { rows, columns }) => {
    const emitter = new MapEmitter(code, vectors, bases)
    emitOdometer(code, row, rows, bases, (moved) => emitter.row(moved, columns.begin, columns.end))
  })
  return { function: emitted, body: lowered, words, threadScratchBytes: 0 }
}

interface Range {
  readonly begin: Local<'i32'>
  readonly end: Local<'i32'>
}

/** A function that finds the rectangle of its unit; `emit` gets bases that are moved to its batch. */
function blockFunction(
  structure: string,
  body: LoweredBody,
  words: Words,
  axes: readonly LoopAxis[],
  emit: (code: FusedCode, bases: Bases, range: { readonly rows: Range; readonly columns: Range }) => void,
): WasmFunction {
  const batches = axes.slice(0, -1)
  const rowAxis = axes.at(-1)!
  // Which of the operands holds the part of a unit only is told by nothing else.
  const parts = body.accesses.flatMap(({ argument }, access) => (argument?.kind === 'threadScratch' ? [access] : []))
  return generatedFunction(`block|${parts.join()}|${structure}`, body, words, (code, bases) => {
    const { fn } = code
    const { unit } = fn.parameters
    const perBatch = fn.local('i32', 'perBatch', code.word('unitsPerBatch'))
    const within = fn.local('i32', 'within', i32.remU(unit, perBatch))
    const columnUnits = fn.local('i32', 'columnUnits', code.word('columnUnits'))
    const range = (position: Local<'i32'>, size: string, end: string): Range => {
      const begin = fn.local('i32', 'begin', i32.mul(position, code.word(size)))
      return { begin, end: fn.local('i32', 'end', min(code, i32.add(begin, code.word(size)), code.word(end))) }
    }
    const rows = range(fn.local('i32', 'rowUnit', i32.divU(within, columnUnits)), 'unitRows', `${rowAxis.name}.extent`)
    const columns = range(fn.local('i32', 'columnUnit', i32.remU(within, columnUnits)), 'unitColumns', 'innerExtent')
    const moved = bases.map((base, access) => {
      const { argument } = body.accesses[access]!
      const moves = batches.some(({ moving }) => moving.includes(access))
      if (argument?.kind !== 'threadScratch') return moves ? fn.local('i32', 'base', base) : base
      // The part of the unit, as if it were the whole.
      const before = i32.add(
        i32.mul(rows.begin, code.word(`${rowAxis.name}.stride${access}`)),
        i32.shl(columns.begin, 2),
      )
      return fn.local('i32', 'base', i32.sub(base, before))
    })
    const index = fn.local('i32', 'index', i32.divU(unit, perBatch))
    for (const { name, moving } of batches.toReversed()) {
      const extent = fn.local('i32', 'extent', code.word(`${name}.extent`))
      const position = fn.local('i32', 'position', i32.remU(index, extent))
      for (const access of moving) {
        if (body.accesses[access]!.argument?.kind === 'threadScratch') continue
        fn.increment(moved[access] as Local<'i32'>, i32.mul(position, code.word(`${name}.stride${access}`)))
      }
      fn.set(index, i32.divU(index, extent))
    }
    emit(code, moved, { rows, columns })
  })
}
