import type { DType } from '../graph/format.ts'
import type { OpAttributes, OpName } from '../graph/operations.ts'
import type { View } from '../graph/view.ts'

/** A tensor inside a program: a view, in elements, of one of the program's buffers. */
export interface Operand {
  readonly buffer: number
  readonly dtype: DType
  readonly view: View
}

/**
 * One step of a program: an op with its operands. Inputs may alias nothing that the call writes, with two exceptions that
 * kernels must allow: an output of a `fused` call may be the very same view as one of its inputs, and the output of
 * `scatter` may be its `base`.
 */
export interface OpCall<Op extends OpName = OpName> {
  readonly op: Op
  readonly attributes: OpAttributes[Op]
  readonly inputs: readonly Operand[]
  readonly outputs: readonly Operand[]
}

/**
 * A buffer of a program.
 *
 * - `input`: bound when the program runs, in the order of `Program.inputs`; only read, unless an output is `donatedFrom` it.
 * - `output`: bound when the program runs, in the order of `Program.outputs`. `donatedFrom` names the input buffer whose
 *   memory it takes over: both bindings are then the same device buffer.
 * - `temporary`: `offset` bytes into the arena; lifetimes of temporaries that overlap in memory do not overlap in time.
 */
export interface ProgramBuffer {
  readonly id: number
  readonly byteLength: number
  readonly role: 'input' | 'output' | 'temporary'
  readonly offset?: number
  readonly donatedFrom?: number
}

/** A linked program: what a backend compiles. Calls run in order; each sees the memory as the calls before it left it. */
export interface Program {
  readonly buffers: readonly ProgramBuffer[]
  readonly calls: readonly OpCall[]
  /** Buffer ids in the order in which they are bound: inputs, then outputs. */
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  /** Bytes of memory for all temporaries. */
  readonly arenaBytes: number
}
