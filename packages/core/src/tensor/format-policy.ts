import { isGradient, markLike } from '../autodiff/backward.ts'
import { ShapeError, TesseraError } from '../errors.ts'
import { cast, reshape } from '../graph/build.ts'
import { isFloat } from '../graph/format.ts'
import { isMovement } from '../graph/kinds.ts'
import { createNode, formatSpec, type Node, topologicalOrder } from '../graph/node.ts'
import { isPrimitive } from '../graph/primitives.ts'
import { sizeOf } from '../graph/shape.ts'
import { structureKey } from '../graph/subgraph.ts'
import { full, zeros } from './create.ts'
import { stack } from './movement.ts'
import type { PolicyRewrite, PolicyState, ProgramPolicy } from './policy.ts'
import { standIn } from './record.ts'
import { Tensor } from './tensor.ts'

/**
 * How values round in a number format. Values stay in floating-point storage while a program computes; a format says which of them exist.
 * Formats with a scale for each tensor keep it in `stateSize` numbers, which go from call to call.
 */
export interface TensorFormat {
  readonly name: string
  /** Bits of an element in storage. */
  readonly bits: number
  /** Numbers of state (f32) that each tensor has; 0 by default. */
  readonly stateSize?: number
  /** State of a tensor that has none yet, from its first value: f32 `[stateSize]`. */
  initialize?(x: Tensor): Tensor
  /**
   * The nearest value that the format holds, and a number that `update` wants to know of it (scalar).
   *
   * @param state `[stateSize]`, only with a `stateSize`
   */
  round(x: Tensor, state?: Tensor): { readonly value: Tensor; readonly statistic?: Tensor }
  /**
   * State for the next call.
   *
   * @param states `[tensors, stateSize]`
   * @param statistics `[tensors]`; −1 for a tensor that was not rounded in this call
   */
  update?(states: Tensor, statistics: Tensor): Tensor
}

/** A value that a policy rounds. */
export interface RoundedPlace {
  /** Number among the places of its function. */
  readonly index: number
  /** `value`: what products and whole ops read or give; `update`: what takes the place of an argument; `initial`: that argument. */
  readonly kind: 'value' | 'update' | 'initial'
  /** Op that gives the value. */
  readonly op: string
  readonly shape: readonly number[]
  /** Whether the backward pass computes it. */
  readonly isGradient: boolean
}

export interface FormatPolicyOptions {
  /** Places that keep their float format. */
  readonly except?: (place: RoundedPlace) => boolean
}

/** State of the places of one function. */
export interface FormatGroup {
  readonly places: readonly RoundedPlace[]
  /** `[places, stateSize]`; `undefined` until the function has been called. */
  readonly states: Tensor | undefined
}

/** A policy with what it knows, for reports and checkpoints. */
export interface FormatPolicy extends ProgramPolicy {
  readonly hasState: boolean
  readonly format: TensorFormat
  /** One for each function (and signature) that the policy has been used with, in the order of their first calls. */
  readonly groups: readonly FormatGroup[]
  /** The state of all groups, to save: tensors by group number. */
  state(): Record<string, Tensor>
  /** Takes saved state over for the groups that the next calls make, in their order. */
  restore(state: Readonly<Record<string, Tensor>>): void
}

/**
 * Rounds the values of a function to a format: what products, convolutions and whole ops read and give, and what is written back to the
 * arguments (weights, optimizer state). Sums inside of these ops and chains of elementwise ops between them are as wide as ever. Single
 * numbers, losses and integers are left alone. Hand it to `jit`.
 *
 * @example
 * ```ts
 * import { formatPolicy, jit, tensor, type Tensor } from '@tessera/core'
 * const halves = formatPolicy({ name: 'halves', bits: 8, round: (x) => ({ value: x.multiply(2).round().divide(2) }) })
 * const product = jit((a: Tensor, b: Tensor) => a.matmul(b), { policy: halves })
 * console.log(await product(tensor([[0.4, 1.1]]), tensor([[1], [1]])).data()) // [1.5]
 * ```
 */
export function formatPolicy(format: TensorFormat, options: FormatPolicyOptions = {}): FormatPolicy {
  const groups = new Map<string, Group>()
  let saved: Readonly<Record<string, Tensor>> = {}
  return {
    name: format.name,
    format,
    hasState: (format.stateSize ?? 0) > 0,
    get groups() {
      return [...groups.values()]
    },
    state: () =>
      Object.fromEntries([...groups.values()].flatMap(({ states }, i) => (states ? [[String(i), states]] : []))),
    restore: (state) => {
      groups.clear()
      saved = state
    },
    rewrite: (outputs, replaces) => {
      const key = structureKey(outputs).key
      const group = groups.get(key) ?? new Group(saved[String(groups.size)])
      groups.set(key, group)
      return rewrite(format, options, group, outputs, replaces)
    },
  }
}

class Group implements FormatGroup {
  places: readonly RoundedPlace[] = []
  readonly holder: { value: Tensor }
  isInitialized: boolean

  constructor(saved: Tensor | undefined) {
    this.isInitialized = saved !== undefined
    this.holder = { value: saved ?? zeros([0]) }
  }

  get states(): Tensor | undefined {
    return this.isInitialized ? this.holder.value : undefined
  }
}

/** Sums up a loss, which is read by people. */
const keptWide: ReadonlySet<string> = new Set(['crossEntropy', 'randomBits', 'checkpoint', 'scan', 'whileLoop', 'cond'])

const isRoundable = ({ dtype, shape }: Node): boolean => isFloat(dtype) && sizeOf(shape) > 1

/** Ops between which values are rounded: those that run as a kernel of their own. */
const isWhole = (node: Node): boolean => node.op === 'matmul' || !isPrimitive(node.op)

function baseOf(node: Node): Node {
  let base = node
  while (isMovement(base)) base = base.inputs[0]!
  return base
}

/** The values to round, each once. */
function roundedValues(outputs: readonly Node[]): Set<Node> {
  const order = topologicalOrder(outputs)
  const generated = new Set<Node>()
  const found = new Set<Node>()
  for (const node of order) {
    if (node.op !== 'leaf' && node.inputs.every((input) => generated.has(input))) generated.add(node)
    const source = node.op === 'output' ? node.inputs[0]! : node
    const isResult = source.outputs.length === 1 || node !== source
    if (isResult && isWhole(source) && !keptWide.has(source.op) && isRoundable(node)) found.add(node)
    if (!isWhole(node) || node.op === 'randomBits') continue
    for (const input of node.inputs) {
      const base = baseOf(input)
      if (isRoundable(base) && !generated.has(base)) found.add(base)
    }
  }
  return found
}

function rewrite(
  format: TensorFormat,
  { except }: FormatPolicyOptions,
  group: Group,
  outputs: readonly Node[],
  replaces: readonly (Node | undefined)[],
): PolicyRewrite {
  const { stateSize = 0 } = format
  const isFirst = !group.isInitialized
  const places: RoundedPlace[] = []
  const states: Tensor[] = []
  const statistics: Tensor[] = []
  const known = isFirst || stateSize === 0 ? undefined : group.holder.value
  const parameter = known && standIn(known, 0)
  const written = new Set(replaces)

  const round = (node: Node, kind: RoundedPlace['kind'], original: Node): Node => {
    const op = original.op === 'output' ? original.inputs[0]!.op : original.op
    const isBackward = kind === 'value' && isGradient(original)
    const place = { index: places.length, kind, op, shape: node.shape, isGradient: isBackward }
    if (except?.(place)) return node
    places.push(place)
    if (known && places.length > known.shape[0]!) requireCount(format, known, places.length)
    const x = new Tensor(node)
    if (stateSize === 0) return requireSame(format, node, format.round(x).value.node)
    const state = parameter ? new Tensor(parameter).select(0, place.index) : requireState(format, x)
    // An argument that the last call wrote is in the format already; its place only keeps the numbering.
    const isRounded = kind === 'initial' && !isFirst
    const { value, statistic } = isRounded ? { value: x, statistic: full([], -1) } : format.round(x, state)
    states.push(state)
    statistics.push(new Tensor(cast(reshape((statistic ?? zeros([])).node, []), 'f32')))
    return requireSame(format, node, value.node)
  }

  const rounded = roundedValues(outputs)
  const replaced = new Map<Node, Node>()
  // Arguments as they came in, for all that is no product: what is added to a weight is not lost where weights stay wide.
  const asGiven = new Map<Node, Node>()
  const rebuild = (node: Node, replacement: (input: Node) => Node): Node => {
    const inputs = node.inputs.map(replacement)
    const same = inputs.every((input, i) => input === node.inputs[i])
    return same ? node : createNode(node.definition, inputs, node.attributes)
  }
  const wide = (input: Node): Node => asGiven.get(input) ?? replaced.get(input)!
  for (const node of topologicalOrder(outputs)) {
    const readsRounded = isWhole(node) || isMovement(node)
    const rebuilt = rebuild(node, readsRounded ? (input) => replaced.get(input)! : wide)
    const isGiven = written.has(node)
    if (isGiven || (isMovement(node) && asGiven.has(node.inputs[0]!))) asGiven.set(node, rebuild(node, wide))
    markLike(rebuilt, node)
    replaced.set(node, rounded.has(node) ? round(rebuilt, isGiven ? 'initial' : 'value', node) : rebuilt)
  }
  const results = outputs.map((output, i) => {
    const value = wide(output)
    const isUpdate = replaces[i] !== undefined && isRoundable(output) && !rounded.has(output)
    return isUpdate ? round(value, 'update', output) : value
  })
  group.places = places
  if (stateSize === 0 || places.length === 0) return { outputs: results, state: [], isCurrent: () => true }
  requireCount(format, known, places.length)
  const all = parameter ? new Tensor(parameter) : stack(states)
  const next = format.update ? format.update(all, stack(statistics)) : all
  const own = parameter ?? standIn({ shape: [places.length, stateSize], dtype: 'f32' }, 0)
  if (isFirst) group.holder.value = zeros([places.length, stateSize])
  const state: PolicyState = {
    parameter: own,
    next: next.node,
    holder: {
      get value() {
        return group.holder.value
      },
      set value(value) {
        group.holder.value = value
        group.isInitialized = true
      },
    },
  }
  return { outputs: results, state: [state], isCurrent: () => !isFirst }
}

function requireCount(format: TensorFormat, known: Tensor | undefined, places: number): void {
  if (!known || known.shape[0] === places) return
  const found = places > known.shape[0]! ? `at least ${places}` : String(places)
  throw new TesseraError(
    'FORMAT_STATE',
    `${format.name}: the saved state is for ${known.shape[0]} tensors, the function has ${found}. Restore the state of the same function, or none.`,
  )
}

function requireState(format: TensorFormat, x: Tensor): Tensor {
  const state = format.initialize?.(x)
  if (state && formatSpec(state) === `f32[${format.stateSize}]`) return state
  throw new ShapeError(
    `${format.name}: initialize must give f32[${format.stateSize}], got ${state ? formatSpec(state) : 'nothing'}.`,
  )
}

function requireSame(format: TensorFormat, before: Node, after: Node): Node {
  if (formatSpec(before) === formatSpec(after)) return after
  throw new ShapeError(`${format.name}: round must keep ${formatSpec(before)}, it gave ${formatSpec(after)}.`)
}
