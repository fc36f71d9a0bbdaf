import type { DType, ElementwiseName, FusedBody, FusedInstruction, Operand, ReduceName } from '@tessera/core'
import { formatOf } from '@tessera/core'
import type { WasmArgument } from '../program/contract.ts'
import { type NestAxis, normalizeAxes, takeInnerAxis } from './axes.ts'

/** Bits of a value's variation: along the vectors, along the other axes of a row or of what is reduced, along the rest. */
export const variesInner = 1
export const variesMiddle = 2
export const variesOuter = 4

/** How an access moves along the vectors: to the neighbour, not at all, or by a stride known when the program runs. */
export type InnerStep = 'vector' | 'splat' | 'gather'

/** A tensor that the loop nest reads or writes, or a counter that it makes (`iota`). */
export interface Access {
  readonly kind: 'load' | 'store' | 'iota'
  readonly dtype: DType
  /** Bytes of an element; 1 for a counter, whose "address" is its value. */
  readonly bytes: number
  readonly inner: InnerStep
  readonly variation: number
  /** The argument that gives the first element's address; a counter has none. */
  readonly argument: WasmArgument | undefined
  /** Value of a counter at the first element. */
  readonly first: number
  /** The operand is also written by the call, or read by it, at the same place. */
  readonly aliased: boolean
}

/**
 * The element of input `input` at `index` along an axis that the domain does not have: its index is clamped to `[0, extent)` and
 * counts `stride` elements. What `gather` is made of.
 */
export interface LookupInstruction {
  readonly kind: 'lookup'
  readonly input: number
  readonly index: number
  readonly extent: number
  readonly stride: number
  readonly dtype: DType
}

/** A fused body that may look things up. */
export type LookupBody = Omit<FusedBody, 'instructions'> & {
  readonly instructions: readonly (FusedInstruction | LookupInstruction)[]
}

export type Value =
  | { readonly kind: 'load' | 'iota'; readonly access: number; readonly dtype: DType }
  | { readonly kind: 'constant'; readonly constant: number; readonly value: number; readonly dtype: DType }
  | ComputeValue
  | LookupValue
  | { readonly kind: 'reduce'; readonly op: ReduceName; readonly argument: number; readonly dtype: DType }

export interface LookupValue {
  readonly kind: 'lookup'
  readonly access: number
  readonly index: number
  readonly extent: number
  /** Elements from one index to the next. */
  readonly stride: number
  readonly dtype: DType
}

/** Elementwise ops, and what is generated in place of several of them. */
export type LoweredOp = ElementwiseName | 'onePlusTanh'

export interface ComputeValue {
  readonly kind: 'compute'
  readonly op: LoweredOp
  readonly arguments: readonly number[]
  readonly dtype: DType
  /** Format of the last argument: what `cast` converts from and comparisons compare. */
  readonly from: DType
  /** A constant last argument that the generated code knows. */
  readonly immediate: number | undefined
}

/** A fused call in the form that code is generated from. */
export interface LoweredBody {
  readonly kind: 'map' | 'row' | 'column' | 'scatter'
  readonly values: readonly Value[]
  /** For each value, along which axes it varies. */
  readonly variation: readonly number[]
  readonly accesses: readonly Access[]
  /** The access that stores each of the call's outputs, and the value stored. */
  readonly stores: readonly { readonly access: number; readonly value: number }[]
  readonly constants: readonly { readonly value: number; readonly dtype: DType }[]
  readonly outer: readonly NestAxis[]
  /** The axes of a row but its innermost, the reduced axes of a column body, or the axes of a scatter's indices. */
  readonly middle: readonly NestAxis[]
  readonly inner: NestAxis
}

/** An operand of a body, and the argument that gives the address of its first element. */
export interface PlacedOperand extends Operand {
  readonly place: Extract<WasmArgument, { kind: 'input' | 'output' | 'sharedScratch' | 'threadScratch' }>
}

/** An access before the axes are put in order. */
interface Pattern {
  readonly kind: Access['kind']
  readonly dtype: DType
  readonly strides: readonly number[]
  readonly isStore: boolean
  readonly place: PlacedOperand['place'] | undefined
  readonly first: number
  readonly aliased: boolean
}

/**
 * Brings a fused body into the form that code is generated from.
 *
 * @param keepsAxes true: the axes stay as they are, the last one the innermost; else they are put into the best order
 */
export function lowerBody(
  body: LookupBody,
  inputs: readonly PlacedOperand[],
  outputs: readonly PlacedOperand[],
  keepsAxes = false,
): LoweredBody {
  const { values, patterns, constants } = lowerValues(body, inputs, outputs)
  const storeAccess = outputs.map((operand) => {
    const aliased = inputs.some((input) => input.buffer === operand.buffer)
    return patterns.push(patternOf('store', operand, aliased)) - 1
  })
  const starts = patterns.map(() => 0)
  const { outer, middle, inner } = keepsAxes ? keptAxes(body, patterns) : orderedAxes(body, patterns, starts)
  const accesses = patterns.map((pattern, i) => toAccess(pattern, i, starts[i]!, inner, middle, outer))
  return {
    kind: body.kind,
    values,
    variation: variationOf(values, accesses),
    accesses,
    stores: storeAccess.map((access, output) => ({ access, value: body.stores[output]! })),
    constants,
    outer,
    middle,
    inner,
  }
}

/** The loops of a body: around its rows, within them, and along the vectors. */
type Nest = Pick<LoweredBody, 'outer' | 'middle' | 'inner'>

function orderedAxes(body: LookupBody, patterns: readonly Pattern[], starts: number[]): Nest {
  const axes = body.domain.map((_, axis) => axis)
  const isMiddle = (axis: number): boolean =>
    body.kind === 'row'
      ? axis >= axes.length - body.rowAxes
      : body.kind === 'column' && axis >= body.reducedStart && axis < body.reducedEnd
  const outerAll = normalizeAxes(
    body.domain,
    axes.filter((axis) => !isMiddle(axis)),
    patterns,
    starts,
  )
  const middleAll = normalizeAxes(body.domain, axes.filter(isMiddle), patterns, starts)
  const taken = takeInnerAxis(body.kind === 'row' ? middleAll : outerAll)
  const rest = taken.outer
  return {
    outer: body.kind === 'row' ? outerAll : rest,
    middle: body.kind === 'row' ? rest : longestFirst(middleAll),
    // A single element: as the first one of a vector, or of a row whose every value is one for the row.
    inner: taken.inner ?? { extent: 1, strides: patterns.map(() => (body.kind === 'row' ? 0 : 1)) },
  }
}

function keptAxes(body: LookupBody, patterns: readonly Pattern[]): Nest {
  const axes = body.domain.map((extent, axis) => ({ extent, strides: patterns.map(({ strides }) => strides[axis]!) }))
  const last = axes.at(-1)!
  // In a row of one element every value is one for the row.
  const inner = body.kind === 'row' && last.extent === 1 ? { extent: 1, strides: patterns.map(() => 0) } : last
  return { outer: axes.slice(0, -1), middle: [], inner }
}

function lowerValues(
  body: LookupBody,
  inputs: readonly PlacedOperand[],
  outputs: readonly PlacedOperand[],
): { values: Value[]; patterns: Pattern[]; constants: LoweredBody['constants'] } {
  const patterns: Pattern[] = []
  const loads = new Map<number, number>()
  const constants: { value: number; dtype: DType }[] = []
  const loadOf = (input: number): number => {
    let access = loads.get(input)
    if (access === undefined) {
      const operand = inputs[input]!
      const aliased = outputs.some((output) => output.buffer === operand.buffer)
      access = patterns.push(patternOf('load', operand, aliased)) - 1
      loads.set(input, access)
    }
    return access
  }
  const lowerInstruction = (instruction: LookupBody['instructions'][number]): Value => {
    const { dtype } = instruction
    switch (instruction.kind) {
      case 'load':
        return { kind: 'load', access: loadOf(instruction.input), dtype }
      case 'lookup': {
        const { input, index, extent, stride } = instruction
        return { kind: 'lookup', access: loadOf(input), index, extent, stride, dtype }
      }
      case 'iota': {
        const { strides, offset } = instruction
        const pattern = {
          kind: 'iota',
          dtype,
          strides,
          isStore: false,
          place: undefined,
          first: offset,
          aliased: false,
        } as const
        const access = patterns.push(pattern) - 1
        return { kind: 'iota', access, dtype }
      }
      case 'constant':
        return {
          kind: 'constant',
          constant: constants.push({ value: instruction.value, dtype }) - 1,
          value: instruction.value,
          dtype,
        }
      case 'reduce':
        return { kind: 'reduce', op: instruction.op, argument: instruction.argument, dtype }
      case 'compute': {
        const last = body.instructions[instruction.arguments.at(-1)!]!
        const known = last.kind === 'constant' ? last.value : undefined
        return {
          kind: 'compute',
          op: instruction.op,
          arguments: instruction.arguments,
          dtype,
          from: last.dtype,
          immediate: known === undefined ? undefined : usefulImmediate(instruction.op, known),
        }
      }
    }
  }
  const values = replaceOnePlusTanh(body.instructions.map(lowerInstruction))
  return { values, patterns, constants }
}

/** 1 + tanh x costs less and rounds better as 2 / (1 + e^(−2x)); it is part of GELU. */
function replaceOnePlusTanh(values: readonly Value[]): Value[] {
  return values.map((value) => {
    if (value.kind !== 'compute' || value.op !== 'add' || value.dtype !== 'f32') return value
    const [a, b] = value.arguments.map((argument) => values[argument]!)
    const isOne = (other?: Value): boolean => other?.kind === 'constant' && other.value === 1
    const tanh = [a, b].find((other) => other?.kind === 'compute' && other.op === 'tanh') as ComputeValue | undefined
    const tanhAt = value.arguments.find((argument) => values[argument] === tanh)
    if (!tanh || !(isOne(a) || isOne(b)) || usesOf(values, tanhAt!) > 1) return value
    return { ...tanh, op: 'onePlusTanh' }
  })
}

function usesOf(values: readonly Value[], id: number): number {
  let uses = 0
  for (const value of values) {
    if (value.kind === 'compute') uses += value.arguments.filter((argument) => argument === id).length
    else if (value.kind === 'reduce' && value.argument === id) uses++
  }
  return uses
}

/** Constants worth knowing when code is generated; all others are data of the call, so that calls share code. */
function usefulImmediate(op: ElementwiseName, value: number): number | undefined {
  if (op === 'shiftLeft' || op === 'shiftRight') return value & 31
  if (op === 'power') return [2, 3, 4, 0.5, -0.5, -1].includes(value) ? value : undefined
  // For maxima and minima only that it is a number.
  if (op === 'maximum' || op === 'minimum') return Number.isNaN(value) ? undefined : 0
  return undefined
}

function patternOf(kind: 'load' | 'store', { dtype, view, place }: PlacedOperand, aliased: boolean): Pattern {
  return { kind, dtype, strides: view.strides, isStore: kind === 'store', place, first: 0, aliased }
}

function toAccess(
  { kind, dtype, place, first, aliased }: Pattern,
  position: number,
  moved: number,
  inner: NestAxis,
  middle: readonly NestAxis[],
  outer: readonly NestAxis[],
): Access {
  const step = inner.strides[position]!
  const bytes = kind === 'iota' ? 1 : formatOf(dtype).bytes
  const varies = (axes: readonly NestAxis[]): boolean => axes.some(({ strides }) => strides[position] !== 0)
  return {
    kind,
    dtype,
    bytes,
    inner: step === 1 ? 'vector' : step === 0 ? 'splat' : 'gather',
    variation: (step !== 0 ? variesInner : 0) | (varies(middle) ? variesMiddle : 0) | (varies(outer) ? variesOuter : 0),
    argument: place && { ...place, byteOffset: (place.byteOffset ?? 0) + moved * bytes },
    first: first + moved,
    aliased,
  }
}

/** Reduced axes are taken in chunks along the first of them. */
function longestFirst(axes: readonly NestAxis[]): NestAxis[] {
  return [...axes].sort((a, b) => b.extent - a.extent)
}

function variationOf(values: readonly Value[], accesses: readonly Access[]): number[] {
  const variation: number[] = []
  for (const value of values) {
    if (value.kind === 'constant') variation.push(0)
    else if (value.kind === 'compute')
      variation.push(value.arguments.reduce((mask, argument) => mask | variation[argument]!, 0))
    else if (value.kind === 'lookup') variation.push(accesses[value.access]!.variation | variation[value.index]!)
    // A reduction is computed once for each row.
    else if (value.kind === 'reduce') variation.push(variesOuter)
    else variation.push(accesses[value.access]!.variation)
  }
  return variation
}

/** What equal bodies share: everything that generated code depends on. */
export function structureOf({ kind, values, accesses, stores, outer, middle }: LoweredBody): string {
  const parts = [`${kind} ${outer.length} ${middle.length}`]
  for (const access of accesses) {
    parts.push(`${access.kind}${access.aliased ? '!' : ''} ${access.dtype} ${access.inner} ${access.variation}`)
  }
  for (const value of values) {
    if (value.kind === 'constant') parts.push(`constant ${value.dtype}`)
    else if (value.kind === 'lookup') parts.push(`lookup @${value.access} ${value.index}`)
    else if (value.kind === 'reduce') parts.push(`${value.op} ${value.argument} ${value.dtype}`)
    else if (value.kind === 'compute') {
      const immediate = value.immediate === undefined ? '' : `=${value.immediate}`
      parts.push(`${value.op}${immediate} ${value.arguments.join(' ')} ${value.from}>${value.dtype}`)
    } else parts.push(`@${value.access}`)
  }
  for (const { access, value } of stores) parts.push(`${value}>${access}`)
  return parts.join('|')
}
