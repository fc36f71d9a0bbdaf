import type { DType } from '../graph/format.ts'
import { structureKey } from '../graph/subgraph.ts'
import { zeros } from './create.ts'
import { rewriteInFormat } from './format-rewrite.ts'
import type { ProgramPolicy } from './policy.ts'
import type { Tensor } from './tensor.ts'

/**
 * How values round in a number format. Programs compute in floating point; a format says which numbers exist between whole ops, and how
 * they lie in memory. Formats with a scale for each tensor keep it in `stateSize` numbers, which go from call to call.
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
   * The nearest value that the format holds, the same as it is stored, and a number that `update` wants to know of it (scalar).
   *
   * @param state `[stateSize]`, only with a `stateSize`
   * @param place number of the value among those of its function, to draw random numbers apart from those of others
   */
  round(x: Tensor, state?: Tensor, place?: number): RoundedTensor
  /** How values lie in memory; as the floats that they are computed in without it. */
  readonly storage?: FormatStorage
  /**
   * State for the next call.
   *
   * @param states `[tensors, stateSize]`
   * @param statistics `[tensors]`; −1 for a tensor that was not rounded in this call
   */
  update?(states: Tensor, statistics: Tensor): Tensor
}

export interface RoundedTensor {
  readonly value: Tensor
  /** Of the same shape, in the format of `storage`; needed with `storage` only. */
  readonly stored?: Tensor
  readonly statistic?: Tensor
}

/** Storage of a format between the loops of programs, and of tensors between calls. */
export interface FormatStorage {
  readonly dtype: DType
  /**
   * The values that `stored` of `round` stands for, exactly, in f32.
   *
   * @param state that `round` was given
   */
  decode(stored: Tensor, state?: Tensor): Tensor
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
  /**
   * Where the argument stands that is read or replaced, such as `0.blocks.3.weight` or `1.state.secondMoment.blocks.3.weight`: the number of the function's
   * argument, then names.
   */
  readonly path?: string
}

export interface FormatPolicyOptions {
  /** Places that keep their float format. */
  readonly except?: (place: RoundedPlace) => boolean
  /**
   * Whether values lie in memory as the format stores them: activations between loops of the program, and weights and optimizer state between
   * calls. By default where the format has a `storage`.
   */
  readonly storage?: boolean
  /** Whether values that `keepWide` marks keep their float format, as Adam's means of squares do; true by default. */
  readonly keepsWide?: boolean
}

/** State of the places of one function. */
export interface FormatGroup {
  readonly places: readonly RoundedPlace[]
  /** Ops whose inside has no rule for formats and stays wide: loops and branches, such as `scan of f32[4, 8]`. */
  readonly notRounded: readonly string[]
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
      Object.fromEntries(
        [...groups.values()].flatMap(({ states, used }, i): [string, Tensor][] => [
          ...(states ? ([[String(i), states]] as [string, Tensor][]) : []),
          ...(used ? ([[`${i}/stored`, used.value]] as [string, Tensor][]) : []),
        ]),
      ),
    restore: (state) => {
      groups.clear()
      saved = state
    },
    rewrite: (outputs, replaces, paths) => {
      const key = structureKey(outputs).key
      const group = groups.get(key) ?? new Group(saved[String(groups.size)], saved[`${groups.size}/stored`])
      groups.set(key, group)
      return rewriteInFormat(format, options, group, outputs, { replaces, paths })
    },
  }
}

/** What a policy knows of one function. */
export class Group implements FormatGroup {
  places: readonly RoundedPlace[] = []
  notRounded: readonly string[] = []
  readonly holder: { value: Tensor }
  /** The states with which the arguments that are stored in the format were rounded. */
  used: { value: Tensor } | undefined
  isInitialized: boolean

  constructor(saved: Tensor | undefined, used: Tensor | undefined) {
    this.isInitialized = saved !== undefined
    this.holder = { value: saved ?? zeros([0]) }
    this.used = used && { value: used }
  }

  get states(): Tensor | undefined {
    return this.isInitialized ? this.holder.value : undefined
  }
}
