import type { DType, FusedBody, Operand } from '@tessera/core'
import type { WasmCallPlan } from '../program/contract.ts'
import { type LoweredBody, lowerBody, type PlacedOperand, structureOf, variesMiddle, variesOuter } from './body.ts'
import { emitColumn } from './column.ts'
import { generatedFunction } from './generate.ts'
import { addLoopAxis } from './loops.ts'
import { assemble, chooseVectors, commonWords, countAxis, countOf, loopAxes, type Part, roundUp } from './parts.ts'

/** Partial results take four bytes each, so that none is rounded before the end. */
const partialFormats: Partial<Record<DType, DType>> = { i16: 'i32', i8: 'i32', u8: 'u32', f16: 'f32', bf16: 'f32' }

/** Rows of a column reduction that are added up in one go, unless that makes too many results to join. */
const columnRows = 256
const mostChunks = 1024
/** Results of chunks, in elements, beyond which there are no more chunks than rows of one. */
const mostPartials = 2 ** 20

/** How a column body runs. */
export function planColumn(
  body: FusedBody,
  inputs: readonly PlacedOperand[],
  outputs: readonly PlacedOperand[],
): WasmCallPlan {
  const direct = lowerBody(body, inputs, outputs)
  if (countOf(direct.outer) * direct.inner.extent === 0) return { steps: [] }
  const rows = countOf(direct.middle)
  const first = direct.middle[0]?.extent ?? 1
  const otherRows = first === 0 ? 0 : rows / first
  const most = Math.max(
    columnRows,
    Math.min(mostChunks, Math.floor(mostPartials / (countOf(direct.outer) * direct.inner.extent))),
  )
  const perChunk = Math.max(Math.ceil(columnRows / Math.max(otherRows, 1)), Math.ceil(first / most))
  const chunks = rows > 2 * columnRows ? Math.ceil(first / perChunk) : 1
  if (chunks <= 1) return assemble([columnPart(direct, 1, Math.max(first, 1), 0)])
  // Each chunk's results go to scratch memory, and a second reduction joins them.
  const isReduced = (axis: number): boolean => axis >= body.reducedStart && axis < body.reducedEnd
  const keptShape = body.domain.filter((_, axis) => !isReduced(axis))
  const kept = countOf(keptShape.map((extent) => ({ extent })))
  let scratchBytes = 0
  const partials = new Map<number, PlacedOperand>()
  const redirected = outputs.map((operand, store): PlacedOperand => {
    const value = body.instructions[body.stores[store]!]!
    if (value.kind !== 'reduce') return operand
    const place = { kind: 'sharedScratch', byteOffset: scratchBytes } as const
    scratchBytes += 4 * roundUp(kept * chunks, 16)
    const strides = keptStrides(body.domain, isReduced)
    const dtype = partialFormats[operand.dtype] ?? operand.dtype
    const partial: PlacedOperand = {
      buffer: -1 - store,
      dtype,
      view: { shape: body.domain, strides, offset: 0 },
      place,
    }
    partials.set(store, partial)
    return partial
  })
  const lowered = lowerBody(body, inputs, redirected)
  const joins = [...partials].map(([store, partial]) =>
    joinPart(body, isReduced, store, partial, outputs[store]!, chunks, kept),
  )
  return { ...assemble([columnPart(lowered, chunks, perChunk, kept), ...joins]), sharedScratchBytes: scratchBytes }
}

/** Row-major strides over the kept axes, 0 over the reduced ones. */
function keptStrides(domain: readonly number[], isReduced: (axis: number) => boolean): number[] {
  const strides = domain.map(() => 0)
  let stride = 1
  for (let axis = domain.length - 1; axis >= 0; axis--) {
    if (isReduced(axis)) continue
    strides[axis] = stride
    stride *= domain[axis]!
  }
  return strides
}

/** @param kept elements between the results of one chunk and the next, in scratch memory */
function columnPart(body: LoweredBody, chunks: number, chunkSize: number, kept: number): Part {
  const words = commonWords(body)
  const axes = loopAxes(words, body, 'outer', body.outer, variesOuter)
  const isPartial = body.stores.map(({ value }) => kept > 0 && body.values[value]!.kind === 'reduce')
  const partials = body.stores.flatMap(({ access }, store) => (isPartial[store] ? [access] : []))
  const chunkAxis = { extent: chunks, strides: body.accesses.map((_, i) => (partials.includes(i) ? kept : 0)) }
  const bytes = body.accesses.map((access) => access.bytes)
  axes.push(
    addLoopAxis(
      words,
      'chunk',
      chunkAxis,
      bytes,
      chunkAxis.strides.map((stride) => stride !== 0),
    ),
  )
  const reductions = body.values.filter(({ kind }) => kind === 'reduce').length
  const vectors = Math.max(2, Math.min(8 / reductions, 2 * chooseVectors(body))) & ~1
  const blockSize = 4 * vectors
  const blocks = Math.ceil(body.inner.extent / blockSize)
  axes.push(countAxis(words, body, 'block', blocks))
  const reduced = loopAxes(words, body, 'reduced', body.middle, variesMiddle)
  words.integer('items', countOf(body.outer) * chunks * blocks)
  words.integer('blockSize', blockSize)
  words.integer('chunkSize', chunkSize)
  words.integer('chunkedExtent', body.middle[0]?.extent ?? 1)
  const structure = `${structureOf(body)}|${vectors}|${partials}`
  const emitted = generatedFunction(structure, body, words, (code, bases) =>
    emitColumn(code, { axes, reduced, vectors }, bases),
  )
  return { function: emitted, body, words }
}

/** Joins the results of all chunks for one reduction. */
function joinPart(
  body: FusedBody,
  isReduced: (axis: number) => boolean,
  store: number,
  partial: PlacedOperand,
  output: PlacedOperand,
  chunks: number,
  kept: number,
): Part {
  const reduction = body.instructions[body.stores[store]!] as Extract<
    FusedBody['instructions'][number],
    { kind: 'reduce' }
  >
  const domain = [chunks, ...body.domain.filter((_, axis) => !isReduced(axis))]
  const over = (operand: Operand, stride: number) => ({
    ...operand.view,
    shape: domain,
    strides: [stride, ...operand.view.strides.filter((_, axis) => !isReduced(axis))],
  })
  const joining: FusedBody = {
    domain,
    kind: 'column',
    rowAxes: 0,
    reducedStart: 0,
    reducedEnd: 1,
    instructions: [
      { kind: 'load', input: 0, dtype: partial.dtype },
      { kind: 'reduce', op: reduction.op, argument: 0, dtype: partial.dtype },
    ],
    stores: [1],
  }
  const lowered = lowerBody(
    joining,
    [{ ...partial, view: over(partial, kept) }],
    [{ ...output, view: over(output, 0) }],
  )
  return columnPart(lowered, 1, chunks, 0)
}
