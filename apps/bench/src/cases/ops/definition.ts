import { uniformInput } from '../inputs.ts'
import type { Work } from '../work.ts'

/** What a case of each op is about. */
export interface OpSizes {
  /** Of the last axis. */
  readonly softmax: { readonly rows: number; readonly columns: number }
  /** Of the last axis, with gain and bias; `gradient` asks for those of x, gain and bias instead of the result. */
  readonly 'layer-norm': { readonly rows: number; readonly columns: number; readonly gradient: boolean }
  /** Gradient of the summed cross-entropy with regard to the logits. */
  readonly 'cross-entropy': { readonly rows: number; readonly classes: number }
  /** Causal; `gradient` asks for those of query, key and value instead of the result. */
  readonly attention: {
    readonly heads: number
    readonly length: number
    readonly depth: number
    readonly gradient: boolean
  }
  /** The first update of as many parameters, with decay. */
  readonly adamw: { readonly parameters: number }
  /** Gradients of the mean squared error of a perceptron with ReLU, without biases. */
  readonly mlp: { readonly batch: number; readonly widths: readonly number[] }
}
export type OpName = keyof OpSizes

/** An operand as every implementation gets it. */
export interface OpInput {
  readonly shape: readonly number[]
  readonly values: Float32Array<ArrayBuffer> | Int32Array
}

/** What one op is: operands, work, and the right result. */
export interface OpDefinition<Op extends OpName> {
  inputs(sizes: OpSizes[Op]): readonly OpInput[]
  work(sizes: OpSizes[Op]): Work
  /** All outputs, one after the other, in float64. */
  expected(sizes: OpSizes[Op], inputs: readonly OpInput[]): Float64Array
}

/** Numbers in [−1, 1); every operand of a case has a seed of its own. */
export function operand(shape: readonly number[], seed: number): OpInput {
  return {
    shape,
    values: uniformInput(
      shape.reduce((size, extent) => size * extent, 1),
      seed,
    ),
  }
}
