import type { WasmCallPlan, WasmFunction, WasmStep } from '../program/contract.ts'
import type { NestAxis } from './axes.ts'
import { type LoweredBody, variesInner } from './body.ts'
import { generatedArguments } from './generate.ts'
import { addLoopAxis, type LoopAxis } from './loops.ts'
import { laneKindOf } from './operations.ts'
import { valueWeight } from './weights.ts'
import { Words } from './words.ts'

/** Items into which a call is divided at least, if it is large, so that several threads get equal shares. */
export const leastItems = 64

/** A generated function with the words that it reads. */
export interface Part {
  readonly function: WasmFunction
  readonly body: LoweredBody
  readonly words: Words
}

/** One step after the other, with their words in the call's data. */
export function assemble(parts: readonly Part[]): WasmCallPlan {
  const words: number[] = []
  const offsets = new Map<Words, number>()
  const steps: WasmStep[] = []
  for (const part of parts) {
    let offset = offsets.get(part.words)
    if (offset === undefined) {
      offset = 4 * words.length
      offsets.set(part.words, offset)
      words.push(...part.words.toArray())
    }
    steps.push({ function: part.function, arguments: generatedArguments(part.body, offset) })
  }
  return { steps, data: Int32Array.from(words) }
}

/** The words that every kind of body has. */
export function commonWords(body: LoweredBody): Words {
  const words = new Words()
  words.integer('innerExtent', body.inner.extent)
  body.constants.forEach(({ value, dtype }, index) => {
    if (laneKindOf(dtype) === 'float') words.float(`constant${index}`, value)
    else words.integer(`constant${index}`, dtype === 'bool' ? (value ? -1 : 0) : value)
  })
  body.accesses.forEach((access, position) => {
    words.integer(`step${position}`, body.inner.strides[position]! * access.bytes)
    if (access.kind === 'iota') words.integer(`first${position}`, access.first)
  })
  for (const value of body.values) {
    if (value.kind !== 'lookup') continue
    words.integer(`lookup${value.access}.last`, value.extent - 1)
    words.integer(`lookup${value.access}.stride`, value.stride * body.accesses[value.access]!.bytes)
  }
  return words
}

export function loopAxes(
  words: Words,
  body: LoweredBody,
  name: string,
  axes: readonly NestAxis[],
  bit: number,
): LoopAxis[] {
  const bytes = body.accesses.map((access) => access.bytes)
  const varies = body.accesses.map((access) => (access.variation & bit) !== 0)
  return axes.map((axis, i) => addLoopAxis(words, `${name}${i}`, axis, bytes, varies))
}

/** An axis along which nothing moves. */
export function countAxis(words: Words, body: LoweredBody, name: string, extent: number): LoopAxis {
  return addLoopAxis(
    words,
    name,
    { extent, strides: [] },
    [],
    body.accesses.map(() => false),
  )
}

/** Vector instructions for one vector of elements, roughly. */
export function weightOf(body: LoweredBody, ids: readonly number[]): number {
  return ids.reduce((sum, id) => sum + (body.variation[id]! & variesInner ? valueWeight(body, body.values[id]!) : 0), 0)
}

/** Vectors that one round of the innermost loop computes: more when there is little to do for each. */
export function chooseVectors(body: LoweredBody, ids: readonly number[] = body.values.map((_, id) => id)): number {
  return weightOf(body, ids) <= 60 ? 4 : 2
}

/** Rounds of nested loops. */
export const countOf = (axes: readonly { readonly extent: number }[]): number =>
  axes.reduce((count, { extent }) => count * extent, 1)
export const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple
