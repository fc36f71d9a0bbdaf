import { type Tensor, zeros } from '@tessera/core'
import { type Initializer, uniform } from '../initializers/initializers.ts'
import { type Activation, activate } from './activations.ts'
import { checkExtents } from './check.ts'
import { type Layer, Module } from './module.ts'

export interface LinearOptions {
  /** Random key of the first weights. */
  readonly key: Tensor
  /** Whether a bias is added; true by default. It starts at 0. */
  readonly bias?: boolean
  /** First weights; by default uniform within ±1/√inputs, as in PyTorch. */
  readonly initializer?: Initializer
  /** Applied to the result; none by default. */
  readonly activation?: Activation
}

/**
 * `x · weight + bias`, and an activation if one is given. The weight is `[inputs, outputs]`, so that the forward pass needs no transpose: as in GPT-2's Conv1D,
 * and the transpose of PyTorch's `nn.Linear`.
 *
 * @example
 * ```ts
 * import { ones, randomKey } from '@tessera/core'
 * import { Linear } from '@tessera/nn'
 * const layer = new Linear(3, 5, { key: randomKey(0) })
 * console.log(layer.forward(ones([2, 3])).shape) // [2, 5]
 * ```
 */
export class Linear extends Module implements Layer {
  /** `[inputs, outputs]` */
  weight: Tensor
  /** `[outputs]` */
  bias: Tensor | undefined
  readonly activation: Activation | undefined

  constructor(inputs: number, outputs: number, options: LinearOptions) {
    super()
    checkExtents('Linear', { inputs, outputs })
    const initializer = options.initializer ?? uniform(-1 / Math.sqrt(inputs), 1 / Math.sqrt(inputs))
    this.weight = initializer(options.key, [inputs, outputs])
    this.bias = (options.bias ?? true) ? zeros([outputs]) : undefined
    this.activation = options.activation
  }

  /**
   * @param x `[..., inputs]`
   * @returns `[..., outputs]`
   */
  forward(x: Tensor): Tensor {
    const product = x.matmul(this.weight)
    const sum = this.bias ? product.add(this.bias) : product
    return this.activation ? activate(sum, this.activation) : sum
  }
}
