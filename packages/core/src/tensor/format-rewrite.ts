import { isGradient, markLike } from '../autodiff/backward.ts'
import { ShapeError, TesseraError } from '../errors.ts'
import { barrier, cast, reshape } from '../graph/build.ts'
import { isElementwise, isMovement, isReduction } from '../graph/kinds.ts'
import { createNode, formatSpec, type Node, topologicalOrder } from '../graph/node.ts'
import { full, range, tensor, zeros } from './create.ts'
import {
  baseOf,
  type FunctionArguments,
  firstReaders,
  isWhole,
  type Plan,
  planPlaces,
  withBodies,
  withoutCheckpoints,
} from './format-places.ts'
import type { FormatPolicyOptions, Group, RoundedPlace, TensorFormat } from './format-policy.ts'
import { where } from './indexing.ts'
import { stack } from './movement.ts'
import type { PackedArgument, PolicyRewrite, PolicyState } from './policy.ts'
import { standIn } from './record.ts'
import { Tensor } from './tensor.ts'

/** Puts a format into what a function computes: see `formatPolicy`. */
export function rewriteInFormat(
  format: TensorFormat,
  options: FormatPolicyOptions,
  group: Group,
  outputs: readonly Node[],
  args: FunctionArguments,
): PolicyRewrite {
  return new Rewriter(format, options, group, outputs, args).run()
}

/** A value with its stored form. */
interface StoredValue {
  readonly stored: Node
  readonly state: Tensor | undefined
  /** What whole ops of one pass read: decoded once for all of them. */
  readonly decoded: Map<boolean, Node>
}

class Rewriter {
  readonly #format: TensorFormat
  readonly #group: Group
  readonly #outputs: readonly Node[]
  readonly #replaces: readonly (Node | undefined)[]
  readonly #order: readonly Node[]
  readonly #plan: Plan
  readonly #first: ReadonlyMap<Node, Node>
  readonly #stateSize: number
  /** Whether the first call is rewritten, which chooses the states from the values. */
  readonly #isFirst: boolean
  readonly #isStored: boolean
  readonly #parameter: Node | undefined
  /** State of each place, and its statistic of this call. */
  readonly #states: Tensor[]
  readonly #statistics: Tensor[]
  /** What takes the place of a node: as whole ops read it. */
  readonly #replaced = new Map<Node, Node>()
  /** Arguments as they came in, for all that is no product: what is added to a weight is not lost where weights stay wide. */
  readonly #asGiven = new Map<Node, Node>()
  readonly #stored = new Map<Node, StoredValue>()
  #barriers = 0

  constructor(
    format: TensorFormat,
    options: FormatPolicyOptions,
    group: Group,
    given: readonly Node[],
    args: FunctionArguments,
  ) {
    const outputs = withoutCheckpoints(given)
    this.#format = format
    this.#group = group
    this.#outputs = outputs
    this.#replaces = args.replaces
    this.#order = topologicalOrder(outputs)
    this.#first = firstReaders(this.#order)
    this.#plan = planPlaces(this.#order, this.#first, outputs, args, options)
    this.#stateSize = format.stateSize ?? 0
    this.#isFirst = this.#stateSize > 0 && !group.isInitialized
    this.#isStored = options.storage !== false && format.storage !== undefined
    const known = this.#isFirst || this.#stateSize === 0 ? undefined : group.holder.value
    if (known) requireCount(format, known, this.#plan.places.length)
    this.#parameter = known && standIn(known, 0)
    this.#states = new Array(this.#plan.places.length)
    this.#statistics = new Array(this.#plan.places.length)
  }

  run(): PolicyRewrite {
    const packed = this.#packArguments()
    for (const node of this.#order)
      if (!isMovement(node) && (this.#first.get(node) ?? node) === node) this.#rewriteNode(node)
    const results = this.#outputs.map((output, i) => {
      const place = this.#plan.updates[i]
      const value = this.#wide(output, output)
      if (!place) return value
      const { node, stored } = this.#round(value, place)
      return packed.arguments.has(i) ? stored! : node
    })
    this.#group.places = this.#plan.places
    this.#group.notRounded = this.#order.flatMap((node) =>
      withBodies.has(node.op) ? [`${node.op} of ${formatSpec(node)}`] : [],
    )
    return {
      outputs: results,
      state: this.#threaded(packed.used),
      packed: [...packed.arguments.values()],
      isCurrent: () => !this.#isFirst,
    }
  }

  #rewriteNode(node: Node): void {
    const place = this.#plan.values.get(node)
    if (this.#stored.has(node)) {
      if (place) this.#keep(place)
      return
    }
    const rebuilt = this.#rebuild(node, (input) =>
      isWhole(node) ? this.#narrow(input, node) : this.#wide(input, node),
    )
    markLike(rebuilt, node)
    if (this.#replaces.includes(node)) this.#asGiven.set(node, rebuilt)
    this.#replaced.set(node, rebuilt)
    if (!place) return
    // An argument that the last call wrote is in the format already; its place only keeps the numbering.
    if (place.kind === 'initial' && !this.#isFirst && this.#stateSize > 0 && this.#isWritten(node)) {
      this.#keep(place)
      return
    }
    const { node: value, stored } = this.#round(rebuilt, place)
    this.#replaced.set(node, value)
    if (stored) this.#stored.set(node, { stored, state: this.#states[place.index], decoded: new Map() })
  }

  /** Whether what takes an argument's place is rounded, so that the next call gets it in the format. */
  #isWritten(argument: Node): boolean {
    const output = this.#replaces.indexOf(argument)
    return (
      this.#plan.updates[output] !== undefined ||
      this.#plan.values.has(this.#first.get(this.#outputs[output]!) ?? this.#outputs[output]!)
    )
  }

  #rebuild(node: Node, replacement: (input: Node) => Node): Node {
    const inputs = node.inputs.map(replacement)
    const same = inputs.every((input, i) => input === node.inputs[i])
    return same ? node : createNode(node.definition, inputs, node.attributes)
  }

  /** What a whole op reads. */
  #narrow(read: Node, reader: Node): Node {
    const input = this.#first.get(read) ?? read
    if (isMovement(input)) return this.#rebuild(input, (base) => this.#narrow(base, reader))
    const known = this.#stored.get(input)
    if (!known) return this.#replaced.get(input)!
    const pass = isGradient(reader)
    const decoded = known.decoded.get(pass) ?? this.#decode(known, pass ? this.#gradientsOf(reader) : [])
    known.decoded.set(pass, decoded)
    return decoded
  }

  /** What elementwise ops, reductions and the function's caller read. Loops decode what they load. */
  #wide(read: Node, reader: Node): Node {
    const input = this.#first.get(read) ?? read
    if (isMovement(input)) return this.#rebuild(input, (base) => this.#wide(base, reader))
    const given = this.#asGiven.get(input)
    if (given) return given
    const known = this.#stored.get(input)
    return known && !this.#isNextTo(input, reader) ? this.#decode(known) : this.#replaced.get(input)!
  }

  /** Whether a value is read in the loop that computes it: everything else that the reader needs is there before. */
  #isNextTo(input: Node, reader: Node): boolean {
    if (!this.#replaced.has(input)) return false
    if (input === reader || reader.op === 'output') return true
    if (isGradient(input) !== isGradient(reader) || !(isElementwise(reader) || isReduction(reader))) return false
    return reader.inputs.every((other) => baseOf(other).id <= input.id)
  }

  /** The gradients that an op of the backward pass reads, in memory: what it reads beside them is decoded no earlier. */
  #gradientsOf(reader: Node): Node[] {
    return reader.inputs.flatMap((input) => {
      const base = this.#first.get(baseOf(input)) ?? baseOf(input)
      const known = isGradient(base) ? this.#stored.get(base) : undefined
      return known ? [known.stored] : []
    })
  }

  #decode({ stored, state }: StoredValue, after: readonly Node[] = []): Node {
    const { name, storage } = this.#format
    const apart = new Tensor(barrier(stored, after, this.#barriers++))
    const { node } = storage!.decode(apart, state)
    if (formatSpec(node) === formatSpec({ shape: stored.shape, dtype: 'f32' })) return node
    throw new ShapeError(
      `${name}: decode must give f32 of the shape of ${formatSpec(stored)}, it gave ${formatSpec(node)}.`,
    )
  }

  #stateOf(place: RoundedPlace, x: Tensor): Tensor | undefined {
    if (this.#stateSize === 0) return undefined
    return this.#parameter ? new Tensor(this.#parameter).select(0, place.index) : requireState(this.#format, x)
  }

  #round(node: Node, place: RoundedPlace): { node: Node; stored: Node | undefined } {
    const { name, storage } = this.#format
    const x = new Tensor(node)
    const state = this.#stateOf(place, x)
    const { value, statistic, stored } = this.#format.round(x, state, place.index)
    if (state) {
      this.#states[place.index] = state
      this.#statistics[place.index] = new Tensor(cast(reshape((statistic ?? zeros([])).node, []), 'f32'))
    }
    if (formatSpec(node) !== formatSpec(value))
      throw new ShapeError(`${name}: round must keep ${formatSpec(node)}, it gave ${formatSpec(value)}.`)
    if (!this.#isStored || node.dtype !== 'f32') return { node: value.node, stored: undefined }
    const expected = formatSpec({ shape: node.shape, dtype: storage!.dtype })
    if (stored && formatSpec(stored) === expected) return { node: value.node, stored: stored.node }
    throw new ShapeError(
      `${name}: round must give ${expected} as stored, it gave ${stored ? formatSpec(stored) : 'nothing'}.`,
    )
  }

  /** A place whose value is not rounded in this call. */
  #keep(place: RoundedPlace): void {
    if (this.#stateSize === 0) return
    this.#states[place.index] = new Tensor(this.#parameter!).select(0, place.index)
    this.#statistics[place.index] = full([], -1)
  }

  /** Arguments that lie in memory in the format from call to call: those that the function writes. */
  #packArguments(): { arguments: Map<number, PackedArgument>; used: PolicyState | undefined } {
    const { storage } = this.#format
    const outputs = this.#plan.updates.flatMap((place, i) =>
      place && this.#isStored && this.#replaces[i]!.dtype === 'f32' ? [{ place, i }] : [],
    )
    const found = new Map<number, PackedArgument>()
    if (outputs.length === 0) return { arguments: found, used: undefined }
    const group = this.#group
    const shape = [outputs.length, this.#stateSize]
    const parameter = this.#stateSize > 0 ? standIn({ shape, dtype: 'f32' }, 0) : undefined
    if (!this.#isFirst) {
      outputs.forEach(({ i }, row) => {
        const argument = this.#replaces[i]!
        const leaf = standIn({ shape: argument.shape, dtype: storage!.dtype }, 0)
        const state = parameter && new Tensor(parameter).select(0, row)
        this.#stored.set(argument, { stored: leaf, state, decoded: new Map() })
        found.set(i, {
          argument,
          output: i,
          parameter: leaf,
          pack: (value) => packed(this.#format, group, row, value),
          unpack: (stored) => storage!.decode(stored, group.used?.value.select(0, row)),
        })
      })
    }
    if (!parameter) return { arguments: found, used: undefined }
    // The states that this call rounds with, as those of the next call may differ.
    const next = () => stack(outputs.map(({ place }) => this.#states[place.index]!)).node
    group.used ??= {
      value: this.#isFirst
        ? zeros(shape)
        : stack(outputs.map(({ place }) => group.holder.value.select(0, place.index))).realize(),
    }
    const used = {
      parameter,
      get next() {
        return next()
      },
      holder: group.used,
    }
    return { arguments: found, used }
  }

  #threaded(used: PolicyState | undefined): PolicyState[] {
    const { places } = this.#plan
    if (this.#stateSize === 0 || places.length === 0) return []
    const all = this.#parameter ? new Tensor(this.#parameter) : stack(this.#states)
    const next = this.#format.update ? this.#format.update(all, stack(this.#statistics)) : all
    const shape = [places.length, this.#stateSize]
    const group = this.#group
    if (this.#isFirst) group.holder.value = zeros(shape)
    const holder = {
      get value() {
        return group.holder.value
      },
      set value(value) {
        group.holder.value = value
        group.isInitialized = true
      },
    }
    const states = { parameter: this.#parameter ?? standIn({ shape, dtype: 'f32' }, 0), next: next.node, holder }
    return used ? [states, { ...used }] : [states]
  }
}

/**
 * The stored form of an argument that comes as values: with the state of the last call where that holds them exactly, as it does for what this
 * function wrote, otherwise with a state made for them.
 */
function packed(format: TensorFormat, group: Group, row: number, value: Tensor): Tensor {
  if (!group.used) return format.round(value).stored!
  const all = group.used.value
  const known = all.select(0, row)
  const isExact = format
    .storage!.decode(format.round(value, known).stored!, known)
    .equal(value)
    .cast('f32')
    .min()
    .greater(0)
  const state = where(isExact, known, requireState(format, value)).realize()
  const isOwn = range(all.shape[0]!)
    .equal(tensor(Int32Array.of(row), [1]))
    .unsqueeze(1)
  group.used.value = where(isOwn, state, all).realize()
  return format.round(value, state).stored!
}

function requireCount(format: TensorFormat, known: Tensor, places: number): void {
  if (known.shape[0] === places) return
  throw new TesseraError(
    'FORMAT_STATE',
    `${format.name}: the saved state is for ${known.shape[0]} tensors, the function has ${places}. Restore the state of the same function, or none.`,
  )
}

function requireState(format: TensorFormat, x: Tensor): Tensor {
  const state = format.initialize?.(x)
  if (state && formatSpec(state) === `f32[${format.stateSize}]`) return state
  throw new ShapeError(
    `${format.name}: initialize must give f32[${format.stateSize}], got ${state ? formatSpec(state) : 'nothing'}.`,
  )
}
