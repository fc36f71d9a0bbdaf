import type { DType } from '../graph/format.ts'
import type { TensorSpec } from '../graph/node.ts'
import type { FusedBody, OpAttributes, OpName } from '../graph/operations.ts'
import { rowMajorView, type View } from '../graph/view.ts'

/** A tensor inside a program: a view, in elements, of one of the program's buffers. */
export interface Operand {
  readonly buffer: number
  readonly dtype: DType
  readonly view: View
  /** The buffer holds the same content at every run of the program: a tensor that a jit function captured. */
  readonly isConstant?: true
}

/**
 * Work on the result of a call's op, done on each part of the result while it is in the cache: bias, activation, residual, the
 * normalisation of rows, casts. The result itself need not go to memory.
 */
export interface Epilogue {
  /** What the op itself gives; its shape is the domain of the body. */
  readonly result: TensorSpec
  /**
   * A `map`, or a `row` over the last axes. Its input 0 is the op's result, with the row-major view of `result.shape`; its input
   * i > 0 is the call's input `firstInput + i − 1`. Its stores are the outputs of the call: the result before the epilogue is
   * among them where it is needed too.
   */
  readonly body: FusedBody
  /** Number of inputs that belong to the op. */
  readonly firstInput: number
}

/**
 * One step of a program: an op with its operands. Inputs may alias nothing that the call writes, with three exceptions that
 * kernels must allow: an output of a `fused` call may be the very same view as one of its inputs, an output of an epilogue as
 * one of the epilogue's inputs, and the output of `scatter` may be its `base`.
 */
export interface OpCall<Op extends OpName = OpName> {
  readonly op: Op
  readonly attributes: OpAttributes[Op]
  readonly inputs: readonly Operand[]
  readonly outputs: readonly Operand[]
  /** What is computed from the op's only result before it is stored; only kernels that say so (`Kernel.epilogues`) get such calls. */
  readonly epilogue?: Epilogue
}

/** The inputs of a call's op, without those of its epilogue. */
export function ownInputs(call: OpCall): readonly Operand[] {
  return call.epilogue ? call.inputs.slice(0, call.epilogue.firstInput) : call.inputs
}

/** The id that stands for a call's own result before its epilogue; no buffer of a program has it. */
export const resultBuffer = -1

/** What the op of a call with one output gives, before an epilogue. */
export function resultOf({ epilogue, outputs }: OpCall): Operand {
  if (!epilogue) return outputs[0]!
  const { dtype, shape } = epilogue.result
  return { buffer: resultBuffer, dtype, view: rowMajorView(shape) }
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
