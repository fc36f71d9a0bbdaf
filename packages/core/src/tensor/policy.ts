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
   */
  rewrite(outputs: readonly Node[], replaces: readonly (Node | undefined)[]): PolicyRewrite
  /** Whether anything goes from call to call, so that checkpoints need `state()`. */
  readonly hasState?: boolean
  /** What goes from call to call, to save: tensors by name. */
  state?(): Record<string, Tensor>
  /** Takes saved state over for the functions that are called next, in their order. */
  restore?(state: Readonly<Record<string, Tensor>>): void
}

export interface PolicyRewrite {
  /** In the order of those that were given, of the same shapes and formats. */
  readonly outputs: readonly Node[]
  readonly state: readonly PolicyState[]
  /** False when the program has to be rewritten anew before the next call. */
  isCurrent(): boolean
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
