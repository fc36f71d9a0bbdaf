import { full, Tensor } from '@tessera/core'
import { type Constant, constantTensor } from '../format/tensor.ts'

/** A value of the graph: a tensor, or numbers that are known while the graph is recorded, such as shapes. */
export class Value {
  readonly constant: Constant | undefined
  #tensor: Tensor | undefined

  constructor(tensor: Tensor | undefined, constant?: Constant) {
    this.#tensor = tensor
    this.constant = constant
  }

  get shape(): readonly number[] {
    return this.constant?.shape ?? this.tensor.shape
  }

  get tensor(): Tensor {
    this.#tensor ??= this.#makeTensor()
    return this.#tensor
  }

  #makeTensor(): Tensor {
    const constant = this.constant!
    const { dtype } = constant.type
    // A number that programs can fold into what uses it.
    if (constant.shape.length === 0 && (dtype === 'f32' || dtype === 'i32')) {
      return full(
        [],
        Math.min(
          Math.max(constant.data[0]!, dtype === 'i32' ? -(2 ** 31) : -Infinity),
          dtype === 'i32' ? 2 ** 31 - 1 : Infinity,
        ),
        dtype,
      )
    }
    return constantTensor(constant)
  }
}

/** What an operator gives for an output. */
export type Result = Tensor | Constant

export function toValue(result: Result): Value {
  return result instanceof Tensor ? new Value(result) : new Value(undefined, result)
}
