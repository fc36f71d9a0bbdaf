import type { CompoundAttributes } from './compounds/index.ts'
import type { DType } from './format.ts'
import type { Shape } from './shape.ts'
import type { Subgraph } from './subgraph.ts'

/**
 * Attributes of each op, by op name. Any package adds its own ops by declaration merging:
 *
 * ```ts sketch
 * declare module '@tessera/core' {
 *   interface OpAttributes { sparseAttention: { pattern: Pattern } }
 * }
 * ```
 */
export interface OpAttributes extends PrimitiveAttributes, CompoundAttributes, ControlAttributes, ProgramAttributes {}
export type OpName = keyof OpAttributes

export type UnaryName =
  | 'negate'
  | 'absolute'
  | 'sign'
  | 'floor'
  | 'ceil'
  | 'round'
  | 'squareRoot'
  | 'reciprocal'
  | 'exp'
  | 'log'
  | 'log1p'
  | 'expm1'
  | 'sin'
  | 'cos'
  | 'tanh'
  | 'erf'
  | 'not'
export type ArithmeticName = 'add' | 'subtract' | 'multiply' | 'divide' | 'remainder' | 'power' | 'minimum' | 'maximum'
export type BitwiseName = 'and' | 'or' | 'xor' | 'shiftLeft' | 'shiftRight'
export type ComparisonName = 'equal' | 'notEqual' | 'less' | 'lessEqual'
export type BinaryName = ArithmeticName | BitwiseName | ComparisonName
export type ElementwiseName = UnaryName | BinaryName | 'where' | 'cast' | 'bitcast'
export type ReduceName = 'reduceSum' | 'reduceProduct' | 'reduceMaximum' | 'reduceMinimum'
export type MovementName = 'reshape' | 'permute' | 'broadcast' | 'slice'

/** No attributes. */
export type Empty = Record<never, never>

/**
 * The primitives: what every op lowers to and every backend runs.
 *
 * - Elementwise ops take operands of one shape. Both operands of a binary op have one format; comparisons give `bool`.
 *   `divide` and `remainder` of integers truncate towards zero (by zero: 0); `and`, `or`, `xor`, `not` work on `bool` and integers.
 * - Reductions keep the reduced axes with extent 1.
 * - Movement ops only change how elements are addressed.
 */
export interface PrimitiveAttributes
  extends Record<Exclude<ElementwiseName, 'cast' | 'bitcast'>, Empty>,
    Record<ReduceName, { readonly axes: readonly number[] }> {
  /** A leaf: data from the host, a device buffer, or a traced argument. */
  leaf: { readonly shape: Shape; readonly dtype: DType }
  /** A scalar known when the graph is built. */
  constant: { readonly value: number; readonly dtype: DType }
  /** 0, 1, … `length` − 1. */
  iota: { readonly length: number; readonly dtype: DType }
  cast: { readonly dtype: DType }
  /** The same bits read in another format of the same width. */
  bitcast: { readonly dtype: DType }
  reshape: { readonly shape: Shape }
  /** Axis `i` of the result is axis `axes[i]` of the input. */
  permute: { readonly axes: readonly number[] }
  /** Axes of extent 1 are repeated; same number of axes. */
  broadcast: { readonly shape: Shape }
  /** Element `k` of an axis is element `start + k · step` of the input; steps may be negative. */
  slice: { readonly starts: readonly number[]; readonly shape: Shape; readonly steps: readonly number[] }
  pad: { readonly low: readonly number[]; readonly high: readonly number[]; readonly value: number }
  concatenate: { readonly axis: number }
  /** `[…batch, M, K] × […batch, K, N] → […batch, M, N]`, batch axes equal. */
  matmul: Empty
  /** Inputs `source`, `indices` (i32 or u32): `source` with `axis` replaced by the axes of `indices`. Indices are clamped into range. */
  gather: { readonly axis: number }
  /**
   * Inputs `base`, `indices`, `updates`: `base` with `updates` added to (or set at) the positions that `gather` would read.
   * Indices out of range are ignored. `set` with an index twice keeps the later update.
   */
  scatter: { readonly axis: number; readonly mode: 'add' | 'set' }
  /** Output `index` of an op with several outputs. */
  output: { readonly index: number }
  /** The value unchanged, and no gradient. */
  stopGradient: Empty
  /**
   * The value of the first input, unchanged; computed after the other inputs, and never taken for the same value as the first
   * input, so that what is made of it is computed again. Costs nothing at run time.
   */
  /** Barriers of one value with different numbers stay apart. */
  barrier: { readonly number?: number }
}
export type PrimitiveName = keyof PrimitiveAttributes

/** Ops that apply functions. */
export interface ControlAttributes {
  /** The function's outputs; its values are computed again for the gradient instead of being kept. */
  checkpoint: { readonly body: Subgraph }
  /**
   * A body applied `length` times. Inputs: initial carries, sequences `[length, ...]`, and what all steps share. The body takes carries,
   * an element of each sequence and what is shared; it gives the next carries and the elements of the results `[length, ...]`. Outputs:
   * the last carries, then the results.
   */
  scan: {
    readonly body: Subgraph
    readonly length: number
    readonly carries: number
    readonly sequences: number
    /** Steps run from the last element to the first. */
    readonly reverse: boolean
    /** Whether the steps are written out in the program; by default when that is cheaper. */
    readonly unroll?: boolean
  }
  /**
   * Inputs: initial carries, then what all steps share; both functions take the same. Outputs the first carries for which `condition`
   * (bool scalar) is false.
   */
  whileLoop: { readonly condition: Subgraph; readonly body: Subgraph; readonly carries: number }
  /** Inputs: a bool scalar, then what both functions take. Outputs those of the function that it chooses; only that one runs. */
  cond: { readonly whenTrue: Subgraph; readonly whenFalse: Subgraph }
}

/** What only the pipeline makes. */
export interface ProgramAttributes {
  /** One loop nest that computes many elementwise ops and reductions together. */
  fused: FusedBody
  /** What no kernel of the device runs, computed on the host. */
  onHost: {
    readonly body: Subgraph
    /** The ops in it with their operands, as text. */
    readonly computes: readonly string[]
  }
}

/**
 * A fused loop nest. Every operand's view has the shape `domain`, so one index addresses all of them.
 *
 * - `map`: each point of the domain on its own.
 * - `row`: the last `rowAxes` axes form a row. Reductions run over the row; their result is one value per row and may be
 *   used by later instructions, at every element of the row or once.
 * - `column`: axes `[reducedStart, reducedEnd)` are reduced, at least one kept axis follows them. Reductions are only stored.
 *
 * A value that does not vary along a row (a reduction, a load or iota whose strides over the row axes are 0, what is
 * computed from such values only) is *per row*; outputs that hold per-row values or column reductions have stride 0 over
 * the reduced axes and are written once, also where the reduced axes have no elements: a sum is then 0, a product 1.
 */
export interface FusedBody {
  readonly domain: Shape
  readonly kind: 'map' | 'row' | 'column'
  /** Trailing axes that make up a row; 0 unless `kind` is `row`. */
  readonly rowAxes: number
  /** The axes that a `column` body reduces; both 0 otherwise. */
  readonly reducedStart: number
  readonly reducedEnd: number
  /** In order of computation; arguments refer to earlier instructions by position. */
  readonly instructions: readonly FusedInstruction[]
  /** Instruction whose value each output operand of the call receives. */
  readonly stores: readonly number[]
}

export type FusedInstruction =
  /** Element of input operand `input` of the call. */
  | { readonly kind: 'load'; readonly input: number; readonly dtype: DType }
  | { readonly kind: 'constant'; readonly value: number; readonly dtype: DType }
  /** `offset + Σ strides[axis] · index[axis]`, an integer cast to `dtype`. */
  | { readonly kind: 'iota'; readonly strides: readonly number[]; readonly offset: number; readonly dtype: DType }
  | {
      readonly kind: 'compute'
      readonly op: ElementwiseName
      readonly arguments: readonly number[]
      readonly dtype: DType
    }
  /** Over the row (`row`) or the reduced axes (`column`). */
  | { readonly kind: 'reduce'; readonly op: ReduceName; readonly argument: number; readonly dtype: DType }
