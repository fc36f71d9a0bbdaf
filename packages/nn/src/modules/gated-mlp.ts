import { splitKey, type Tensor } from '@tessera/core'
import type { Initializer } from '../initializers/initializers.ts'
import { type Activation, activate } from './activations.ts'
import { Linear } from './linear.ts'
import { type Layer, Module } from './module.ts'

export interface GatedMlpOptions {
  /** Random key of the first weights. */
  readonly key: Tensor
  /** Of the gate: `silu` (SwiGLU) by default, `gelu` for GEGLU, `relu` for ReGLU, `sigmoid` for GLU. */
  readonly activation?: Activation
  /** False by default, as in the paper. */
  readonly bias?: boolean
  readonly initializer?: Initializer
}

/** The feed-forward layer with a gate, `(f(x · gate) ⊙ x · expansion) · projection` (Shazeer 2020, formula 6). */
export class GatedMlp extends Module implements Layer {
  /** `[width, hidden]`, as `expansion` */
  readonly gate: Linear
  readonly expansion: Linear
  /** `[hidden, width]` */
  readonly projection: Linear
  readonly activation: Activation

  constructor(width: number, hidden: number, { key, activation = 'silu', bias = false, initializer }: GatedMlpOptions) {
    super()
    const [first, second, third] = splitKey(key, 3) as [Tensor, Tensor, Tensor]
    const shared = { bias, ...(initializer && { initializer }) }
    this.gate = new Linear(width, hidden, { key: first, ...shared })
    this.expansion = new Linear(width, hidden, { key: second, ...shared })
    this.projection = new Linear(hidden, width, { key: third, ...shared })
    this.activation = activation
  }

  /** @param x `[..., width]` */
  forward(x: Tensor): Tensor {
    return this.projection.forward(activate(this.gate.forward(x), this.activation).multiply(this.expansion.forward(x)))
  }
}
