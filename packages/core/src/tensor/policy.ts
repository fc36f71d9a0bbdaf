import type { Node } from '../graph/node.ts'
import type { Tensor } from './tensor.ts'

/**
 * Rewrites what a function compiled by `jit` computes, with values that go from call to call. Number formats arrive this way: see
 * `formatPolicy`.
 */
export interface ProgramPolicy {
  readonly name: string
  /**
   * @param outputs what the function updates and returns
   * @param replaces for each output the argument whose place it takes, `undefined` for what is returned
   * @param paths where the function's arguments stand: the number of the argument, then names, with dots between
   */
  rewrite(
    outputs: readonly Node[],
    replaces: readonly (Node | undefined)[],
    paths?: ReadonlyMap<Node, string>,
  ): PolicyRewrite
  /** Whether anything goes from call to call, so that checkpoints need `state()`. */
  readonly hasState?: boolean
  /** What goes from call to call, to save: tensors by name. */
  state?(): Record<string, Tensor>
  /** Takes saved state over for the functions that are called next, in their order. */
  restore?(state: Readonly<Record<string, Tensor>>): void
}

export interface PolicyRewrite {
  /** In the order of those that were given, of the same shapes and formats but for those that are packed. */
  readonly outputs: readonly Node[]
  readonly state: readonly PolicyState[]
  /** Arguments that are stored in another form from call to call. */
  readonly packed?: readonly PackedArgument[]
  /** False when the program has to be rewritten anew before the next call. */
  isCurrent(): boolean
}

/**
 * An argument whose memory holds another form of it between calls. The tensor that the function's caller sees is computed from that form
 * when somebody asks for it.
 */
export interface PackedArgument {
  /** The argument that the function was traced with, and the output that takes its place. */
  readonly argument: Node
  readonly output: number
  /** The leaf that stands for the stored form in the outputs; output `output` is the next stored form, of the same shape and format. */
  readonly parameter: Node
  /** The stored form of an argument that comes as values. */
  pack(value: Tensor): Tensor
  /** The values that a stored form stands for, after the call that gave it. */
  unpack(stored: Tensor): Tensor
}

/** A value that goes from call to call. */
export interface PolicyState {
  /** The leaf that stands for it in the outputs. */
  readonly parameter: Node
  /** Its value after the call. */
  readonly next: Node
  /** Holds it between calls. */
  readonly holder: { value: Tensor }
}
