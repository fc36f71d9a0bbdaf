import type { DType } from '../graph/format.ts'
import type { Node } from '../graph/node.ts'
import { type Shape, sameShape } from '../graph/shape.ts'
import { Tensor } from './tensor.ts'
import { type Branch, isBranch, type Path } from './tree.ts'

/** What stands at one place of the arguments: one form for all kinds, because the engine reads such objects fastest. */
interface Part {
  /**
   * - `tensor`: the first handle on a value; `same`: another handle on it;
   * - `static`: a number, a string and so on;
   * - `object`: a function or an object that is no tree, where only the very same one counts as equal;
   * - `branch`: a tree; `again`: one that was met before.
   */
  readonly kind: 'tensor' | 'same' | 'static' | 'object' | 'branch' | 'again'
  /** Of a static value itself, of a branch its prototype. */
  readonly value: unknown
  /** The number of a value, of an object or of a branch met before. */
  readonly number: number
  /** Of a branch, that the first handle on a value is in it: if it were met twice, the value would be as well. */
  readonly holdsValue: boolean
  /** Of a tensor. */
  readonly shape: Shape
  readonly dtype: DType | undefined
  /** Of a branch. */
  readonly keys: readonly string[]
  readonly parts: readonly Part[]
}

const part = (kind: Part['kind'], fields: Partial<Part>): Part => ({
  kind,
  value: fields.value,
  number: fields.number ?? -1,
  shape: fields.shape ?? [],
  dtype: fields.dtype,
  keys: fields.keys ?? [],
  parts: fields.parts ?? [],
  holdsValue: kind === 'tensor' || (fields.parts?.some(({ holdsValue }) => holdsValue) ?? false),
})

/** A place in the arguments: a branch, and the keys from there on, several if the function made objects of its own. */
export interface Place {
  readonly branch: number
  readonly keys: Path
}

/**
 * A set of node numbers that is emptied without being made anew: a `Set` that is cleared leaves a table behind which refers to
 * the next one, so that the garbage of many calls would hang together.
 */
class NumberSet {
  #numbers = new Float64Array(256)
  /** A place is taken when it has the current stamp. */
  #stamps = new Uint32Array(256)
  #stamp = 1
  #size = 0

  /** False if the number is in the set already. */
  add(number: number): boolean {
    if (2 * this.#size >= this.#numbers.length) this.#grow()
    const mask = this.#numbers.length - 1
    let place = number & mask
    for (; this.#stamps[place] === this.#stamp; place = (place + 1) & mask) {
      if (this.#numbers[place] === number) return false
    }
    this.#numbers[place] = number
    this.#stamps[place] = this.#stamp
    this.#size++
    return true
  }

  clear(): void {
    this.#size = 0
    this.#stamp = (this.#stamp + 1) >>> 0
    if (this.#stamp !== 0) return
    this.#stamps.fill(0)
    this.#stamp = 1
  }

  #grow(): void {
    const taken = this.#numbers.filter((_, place) => this.#stamps[place] === this.#stamp)
    this.#numbers = new Float64Array(2 * this.#numbers.length)
    this.#stamps = new Uint32Array(this.#numbers.length)
    this.#size = 0
    for (const number of taken) this.add(number)
  }
}

/** What a walk over arguments that match a signature meets, in order; kept from call to call. */
export class Arguments {
  /** A node for each value. */
  readonly values: Node[] = []
  readonly branches: Branch[] = []
  readonly #nodes = new NumberSet()

  /** False if the node was met before. */
  addValue(node: Node): boolean {
    this.values.push(node)
    return this.#nodes.add(node.id)
  }

  /** The place of a path in the arguments. */
  placeOf(path: Path): Place {
    let branch = 0
    for (let depth = 0; depth < path.length - 1; depth++) {
      const owner = this.branches[branch]![path[depth]!]
      const next = this.branches.indexOf(owner as Branch)
      if (next < 0) return { branch, keys: path.slice(depth) }
      branch = next
    }
    return { branch, keys: path.slice(-1) }
  }

  /** Forgets what was met, so that it can be collected. */
  clear(): void {
    this.values.length = 0
    this.branches.length = 0
    this.#nodes.clear()
  }
}

/**
 * What decides whether a traced program fits arguments: their classes, keys and static values, the shapes and formats of their
 * tensors, and which of these are one value. Checking it walks over the arguments once and makes no objects.
 */
export class Signature {
  readonly #root: Part

  constructor(args: readonly unknown[]) {
    const branches = new Map<Branch, number>()
    const values = new Map<Node, number>()
    const describe = (value: unknown): Part => {
      if (value instanceof Tensor) {
        const known = values.get(value.node)
        if (known !== undefined) return part('same', { number: known })
        values.set(value.node, values.size)
        return part('tensor', { number: values.size - 1, shape: value.shape, dtype: value.dtype })
      }
      if (!isBranch(value)) {
        const isObject = typeof value === 'function' || (typeof value === 'object' && value !== null)
        return isObject ? part('object', { number: identityOf(value) }) : part('static', { value })
      }
      const met = branches.get(value)
      if (met !== undefined) return part('again', { number: met })
      branches.set(value, branches.size)
      const keys = Object.keys(value)
      const parts = keys.map((key) => describe(value[key]))
      return part('branch', { value: Object.getPrototypeOf(value), keys, parts })
    }
    this.#root = describe(args)
  }

  /** Whether arguments have this signature; if so, `met` holds what they are made of. */
  matches(args: readonly unknown[], met: Arguments): boolean {
    if (matches(this.#root, args, met)) return true
    met.clear()
    return false
  }
}

function matches(expected: Part, value: unknown, met: Arguments): boolean {
  switch (expected.kind) {
    case 'tensor': {
      if (!(value instanceof Tensor)) return false
      const { node } = value
      return node.dtype === expected.dtype && sameShape(node.shape, expected.shape) && met.addValue(node)
    }
    case 'same':
      return value instanceof Tensor && met.values[expected.number] === value.node
    case 'static':
      return Object.is(value, expected.value)
    case 'object':
      return identities.get(value as object) === expected.number
    case 'again':
      return met.branches[expected.number] === value
    case 'branch':
      return (
        typeof value === 'object' &&
        value !== null &&
        Object.getPrototypeOf(value) === expected.value &&
        (expected.holdsValue || !met.branches.includes(value as Branch)) &&
        branchMatches(expected, value as Branch, met)
      )
  }
}

function branchMatches({ keys, parts }: Part, branch: Branch, met: Arguments): boolean {
  met.branches.push(branch)
  // `for in` would make no array, but takes several times as long for instances of classes.
  const found = Object.keys(branch)
  if (found.length !== keys.length) return false
  for (let i = 0; i < keys.length; i++) {
    if (found[i] !== keys[i] || !matches(parts[i]!, branch[keys[i]!], met)) return false
  }
  return true
}

const identities = new WeakMap<object, number>()
let nextIdentity = 0

function identityOf(value: object): number {
  const known = identities.get(value)
  if (known !== undefined) return known
  identities.set(value, nextIdentity)
  return nextIdentity++
}
