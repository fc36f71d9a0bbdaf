import { f32x4, i32, i32x4 } from '../assembler/index.ts'
import { usesRelaxedSimd } from '../variant.ts'
import { type Block, loadBlock, loadScattered, loadSplat, lookupOffsets } from './access.ts'
import { type ComputeValue, type LookupValue, type LoweredBody, variesInner } from './body.ts'
import type { FusedCode, Integer, Vector } from './code.ts'
import type { Bases } from './loops.ts'
import { computeLanes, laneKindOf } from './operations.ts'

/** Expressions deeper than this are put into a local, so that emitting them does not recurse far. */
const depthLimit = 12

interface Known {
  /** One vector that serves every place, or one for each vector of the block. */
  readonly vectors: readonly Vector[]
  readonly depth: number
}

/** The values that computing `roots` needs, in order of computation; what is in `known` is not looked into. */
export function needed(
  body: LoweredBody,
  roots: Iterable<number>,
  known: (value: number) => boolean = () => false,
): number[] {
  const found = new Set<number>()
  const stack = [...roots]
  while (stack.length > 0) {
    const id = stack.pop()!
    if (found.has(id) || known(id)) continue
    found.add(id)
    const value = body.values[id]!
    if (value.kind === 'compute') stack.push(...value.arguments)
    else if (value.kind === 'lookup') stack.push(value.index)
  }
  return [...found].sort((a, b) => a - b)
}

/** How often each value is used by others and by stores. */
export function countUses(body: LoweredBody): number[] {
  const uses = body.values.map(() => 0)
  for (const value of body.values) {
    if (value.kind === 'compute') for (const argument of value.arguments) uses[argument]!++
    else if (value.kind === 'reduce') uses[value.argument]!++
    else if (value.kind === 'lookup') uses[value.index]! += 2
  }
  for (const { value } of body.stores) uses[value]!++
  return uses
}

/**
 * Emits the values of a body. Values live in nested scopes like the code around them: what was computed before a loop is known
 * inside it.
 */
export class Evaluator {
  readonly code: FusedCode
  readonly #uses: readonly number[]
  /** Products that are computed together with the sum that uses them. */
  readonly #absorbed: ReadonlySet<number>
  #scopes: Map<number, Known>[] = [new Map()]

  /** @param separate values that must be computed on their own */
  constructor(code: FusedCode, separate: (value: number) => boolean = () => false) {
    this.code = code
    this.#uses = countUses(code.body)
    this.#absorbed = usesRelaxedSimd(code.environment.variant)
      ? absorbedProducts(code.body, this.#uses, separate)
      : new Set()
  }

  /** Runs the body in a scope of its own, of values and of locals. */
  scope(body: () => void): void {
    this.#scopes.push(new Map())
    this.code.fn.scope(body)
    this.#scopes.pop()
  }

  isKnown(id: number): boolean {
    return this.#scopes.some((scope) => scope.has(id))
  }

  /** The value in vector `u` of the block. */
  get(id: number, u: number): Vector {
    const { vectors } = this.#find(id)
    return vectors[vectors.length === 1 ? 0 : u]!
  }

  /** Makes a value known: one vector for all places, or one for each vector of the block. */
  define(id: number, vectors: readonly Vector[]): void {
    this.#scopes.at(-1)!.set(id, { vectors, depth: 0 })
  }

  /** Emits values that do not vary along the inner axis. */
  splats(ids: readonly number[], bases: Bases): void {
    for (const id of ids) if (!this.isKnown(id)) this.#emit(id, bases, undefined)
  }

  /** Emits values for the elements of a block. */
  block(ids: readonly number[], bases: Bases, block: Block): void {
    for (const id of ids) if (!this.isKnown(id)) this.#emit(id, bases, block)
  }

  /** The factors of a product that only `user` needs, if it is computed together with it. */
  absorbedFactors(id: number): readonly [number, number] | undefined {
    if (!this.#absorbed.has(id)) return undefined
    const product = this.code.body.values[id] as ComputeValue
    return product.arguments as unknown as readonly [number, number]
  }

  #find(id: number): Known {
    for (let i = this.#scopes.length - 1; i >= 0; i--) {
      const known = this.#scopes[i]!.get(id)
      if (known) return known
    }
    throw new Error(`fused: value ${id} is used before it is computed (in ${this.code.fn.name})`)
  }

  #emit(id: number, bases: Bases, block: Block | undefined): void {
    const { code } = this
    const { body } = code
    const value = body.values[id]!
    if (this.#absorbed.has(id)) return
    const varies = (body.variation[id]! & variesInner) !== 0
    switch (value.kind) {
      case 'load':
      case 'iota': {
        const base = bases[value.access]!
        this.define(
          id,
          varies ? loadBlock(code, value.access, base, block!) : [code.keep(loadSplat(code, value.access, base))],
        )
        return
      }
      case 'lookup':
        this.define(id, this.#lookUp(value, bases[value.access]!, varies ? block : undefined))
        return
      case 'constant':
        this.define(id, [code.keep(code.wordSplat(`constant${value.constant}`))])
        return
      case 'compute':
        this.#compute(id, value, varies ? block!.count : 1, varies)
        return
      case 'reduce':
        throw new Error(`fused: reduction ${id} is used before its row was read (in ${code.fn.name})`)
    }
  }

  #lookUp({ access, index }: LookupValue, base: Integer, block: Block | undefined): Vector[] {
    const { code } = this
    const isSigned = code.body.values[index]!.dtype === 'i32'
    const offsets = (u: number): Vector => lookupOffsets(code, access, this.get(index, u), isSigned)
    if (!block) return [code.keep(loadSplat(code, access, i32.add(base, i32x4.extractLane(offsets(0), 0))))]
    if (code.body.variation[index]! & variesInner) {
      return Array.from({ length: block.count }, (_, u) =>
        code.keep(loadScattered(code, access, base, code.keep(offsets(u)))),
      )
    }
    const found = code.fn.local('i32', 'found', i32.add(base, i32x4.extractLane(offsets(0), 0)))
    return loadBlock(code, access, found, block)
  }

  #compute(id: number, value: ComputeValue, count: number, isInLoop: boolean): void {
    const { code } = this
    const product = value.arguments.find((argument) => this.#absorbed.has(argument))
    const depth = 1 + value.arguments.reduce((most, argument) => Math.max(most, this.#depthOf(argument)), 0)
    // What is computed once before a loop must not move into it.
    const inline = this.#uses[id] === 1 && depth < depthLimit && isInLoop
    const results = code.interleave(count, (u) =>
      product === undefined
        ? computeLanes(
            code,
            value,
            value.arguments.map((argument) => this.get(argument, u)),
          )
        : this.#multiplyAdd(value, product, u),
    )
    const vectors = inline ? results : results.map((result) => code.keep(result))
    this.#scopes.at(-1)!.set(id, { vectors, depth: inline ? depth : 0 })
  }

  #depthOf(id: number): number {
    const factors = this.absorbedFactors(id)
    return factors ? 1 + Math.max(this.#depthOf(factors[0]), this.#depthOf(factors[1])) : this.#find(id).depth
  }

  /** a · b + c, or c − a · b. */
  #multiplyAdd({ op, arguments: args }: ComputeValue, product: number, u: number): Vector {
    const [a, b] = this.absorbedFactors(product)!
    const other = args[0] === product ? args[1]! : args[0]!
    const emit = op === 'add' ? f32x4.relaxedMadd : f32x4.relaxedNmadd
    return emit(this.get(a, u), this.get(b, u), this.get(other, u))
  }
}

/** Products of floats that one sum, difference or reduction uses, at the place where it is computed. */
function absorbedProducts(
  body: LoweredBody,
  uses: readonly number[],
  separate: (value: number) => boolean,
): Set<number> {
  const absorbed = new Set<number>()
  const isProduct = (id: number): boolean => {
    const value = body.values[id]!
    return (
      value.kind === 'compute' && value.op === 'multiply' && value.dtype === 'f32' && uses[id] === 1 && !separate(id)
    )
  }
  body.values.forEach((value, id) => {
    if (value.kind === 'reduce') {
      if (value.op === 'reduceSum' && isProduct(value.argument) && body.variation[value.argument]! & variesInner)
        absorbed.add(value.argument)
      return
    }
    if (value.kind !== 'compute' || laneKindOf(value.dtype) !== 'float') return
    const candidates = value.op === 'add' ? value.arguments : value.op === 'subtract' ? value.arguments.slice(1) : []
    const found = candidates.find((argument) => isProduct(argument) && body.variation[argument] === body.variation[id])
    if (found !== undefined) absorbed.add(found)
  })
  return absorbed
}
