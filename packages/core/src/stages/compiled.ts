import type { Node } from '../graph/node.ts'
import type { Selection } from '../select/select.ts'

/** One program, or several with loops, branches and host ops between them. */
export type Compiled = CompiledProgram | CompiledStages

export interface CompiledProgram {
  readonly kind: 'program'
  readonly selection: Selection
  /** Leaves in the order in which they are bound. */
  readonly leaves: readonly Node[]
  /** For each output the leaf whose memory it takes over, or −1. */
  readonly donors: readonly number[]
  /** Most bytes of temporaries alive at once. */
  readonly liveBytes: number
}

/** For each output of a graph, the position among the leaves of the one whose memory it may take over. */
export type DonorsOf = (leaves: readonly Node[]) => readonly (number | undefined)[]

/** A graph as steps: programs, and the loops, branches and host ops between them. */
export interface CompiledStages {
  readonly kind: 'stages'
  /** Leaves in the order in which they are bound. */
  readonly leaves: readonly Node[]
  /** For each output the leaf whose memory it takes over, or −1. */
  readonly donors: readonly number[]
  readonly steps: readonly CompiledStep[]
  /** Bytes of each slot; the leaves' come first, then the outputs'. */
  readonly slots: readonly number[]
}

/** A step. Numbers are slots. */
export type CompiledStep =
  | {
      readonly kind: 'program'
      readonly compiled: CompiledProgram
      readonly inputs: readonly number[]
      readonly outputs: readonly number[]
    }
  | {
      readonly kind: 'host'
      readonly node: Node
      readonly inputs: readonly number[]
      readonly outputs: readonly number[]
    }
  | {
      readonly kind: 'branch'
      readonly predicate: number
      readonly whenTrue: CompiledCall
      readonly whenFalse: CompiledCall
    }
  | {
      readonly kind: 'loop'
      /** Steps, or the slot of the bool that says whether another step follows. */
      readonly times: number | { readonly test: CompiledCall; readonly predicate: number }
      /** Slot of the step's number. */
      readonly counter?: number
      readonly body: CompiledCall
      /** Outputs of the body that cannot be written over what they replace: the slots change places with spare ones. */
      readonly alternating: readonly { readonly output: number; readonly input: number }[]
    }

/** A compiled function with the slots of its leaves and outputs. */
export interface CompiledCall {
  readonly compiled: Compiled
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
}
