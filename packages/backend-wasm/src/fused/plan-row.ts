import type { WasmCallPlan } from '../program/contract.ts'
import { type LoweredBody, structureOf, variesMiddle, variesOuter } from './body.ts'
import { joinBytes } from './code.ts'
import { needed } from './evaluator.ts'
import { generatedFunction } from './generate.ts'
import type { LoopAxis } from './loops.ts'
import { assemble, chooseVectors, commonWords, countOf, loopAxes, type Part, roundUp, weightOf } from './parts.ts'
import { planPasses, type RowPlan } from './passes.ts'
import { emitRows } from './row.ts'
import { emitRowChunks } from './row-chunks.ts'
import { type RowLoops, sumBlock } from './row-pass.ts'
import type { Words } from './words.ts'

/** Values are kept in scratch memory between passes up to this size, in bytes of all that is kept of a row. */
const mostKeptBytes = 512 * 1024
/** Fewer rows than this, if long, are divided into chunks. */
const fewRows = 16
const longRow = 16384
const smallestChunk = 4096
const mostChunks = 512

/** How a row body runs. */
export function planRow(body: LoweredBody): WasmCallPlan {
  const rows = countOf(body.outer)
  const words = commonWords(body)
  const outer = loopAxes(words, body, 'outer', body.outer, variesOuter)
  words.integer('items', rows)
  const chunked = rows < fewRows && lengthOf(body) >= longRow
  const { loops, rowValues, structure, scratchBytes } = prepareRows(body, words, outer, chunked)
  if (chunked) return planChunks(body, words, loops, rowValues, structure, rows)
  const emitted = generatedFunction(structure, body, words, (code, bases) => emitRows(code, loops, bases, rowValues))
  return { ...assemble([{ function: emitted, body, words }]), threadScratchBytes: scratchBytes }
}

const lengthOf = ({ middle, inner }: LoweredBody): number => countOf(middle) * inner.extent

/** What the emitters of rows need; adds the words of what is within a row. */
export function prepareRows(body: LoweredBody, words: Words, outer: readonly LoopAxis[], chunked = false) {
  const { middle } = body
  const length = lengthOf(body)
  const kept = planPasses(body, !chunked)
  const rowBytes = roundUp(4 * length + 16, 64)
  const planned = kept.slots.size * rowBytes > mostKeptBytes ? planPasses(body, false) : kept
  const plan = chunked ? withSeparateRowStores(body, planned) : planned
  const middleAxes = loopAxes(words, body, 'middle', middle, variesMiddle)
  words.integer('segments', countOf(middle))
  words.integer('rowBytes', rowBytes)
  const long = length > 2 * sumBlock
  const vectors = chooseVectors(body, heaviestPass(body, plan))
  const loops: RowLoops = { plan, outer, middle: middleAxes, vectors, long }
  const rowValues = needed(
    body,
    plan.rowStores.map((store) => body.stores[store]!.value),
  )
  const structure = `${structureOf(body)}|${vectors}|${long}|${[...plan.slots.keys()]}`
  return { loops, rowValues, structure, scratchBytes: joinBytes + plan.slots.size * rowBytes }
}

/**
 * Threads that share a row all read its per-row operands: one that is written in place is written in a pass of its own, when all
 * have.
 */
function withSeparateRowStores(body: LoweredBody, plan: RowPlan): RowPlan {
  const overwrites = plan.rowStores.some((store) => body.accesses[body.stores[store]!.access]!.aliased)
  if (!overwrites) return plan
  const storing = { reductions: [], stores: [], values: [], restored: new Set<number>(), reloaded: new Map() }
  return { ...plan, passes: [...plan.passes, storing] }
}

function planChunks(
  body: LoweredBody,
  words: Words,
  loops: RowLoops,
  rowValues: readonly number[],
  structure: string,
  rows: number,
): WasmCallPlan {
  const { inner } = body
  const segments = countOf(body.middle)
  const blockSize = Math.min(inner.extent, roundUp(Math.ceil((inner.extent * segments) / mostChunks), smallestChunk))
  const blocks = Math.ceil(inner.extent / blockSize)
  const least = Math.max(Math.floor(smallestChunk / inner.extent), Math.ceil((segments * blocks) / mostChunks))
  const segmentsPerChunk = Math.max(1, blocks > 1 ? 1 : least)
  const chunks = Math.ceil(segments / segmentsPerChunk) * blocks
  words.integer('blockSize', blockSize)
  words.integer('blocksPerSegment', blocks)
  words.integer('segmentsPerChunk', segmentsPerChunk)
  words.integer('chunks', chunks)
  const parts = loops.plan.passes.map((_, index): Part => {
    const emitted = generatedFunction(`${structure}|pass ${index}`, body, words, (code, bases) =>
      emitRowChunks(code, loops, bases, index, rowValues),
    )
    return { function: emitted, body, words }
  })
  const reductions = body.values.filter(({ kind }) => kind === 'reduce').length
  return { ...assemble(parts), threadScratchBytes: joinBytes, sharedScratchBytes: 16 * reductions * rows * chunks }
}

function heaviestPass(body: LoweredBody, { passes }: RowPlan): readonly number[] {
  const weights = passes.map((pass) => weightOf(body, pass.values))
  return passes[weights.indexOf(Math.max(...weights))]!.values
}
