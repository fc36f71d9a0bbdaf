import {
  celu,
  elu,
  full,
  hardSigmoid,
  hardSwish,
  hardTanh,
  leakyRelu,
  logSigmoid,
  mish,
  relu6,
  selu,
  silu,
  softplus,
  softsign,
  squaredRelu,
  type Tensor,
} from '@tessera/core'
import { checkExtents } from './check.ts'
import { type Layer, Module } from './module.ts'

const activations = {
  relu: (x: Tensor) => x.relu(),
  /** Hendrycks & Gimpel 2016, exact. */
  gelu: (x: Tensor) => x.gelu(),
  /** GPT-2's approximation of GELU. */
  'gelu-tanh': (x: Tensor) => x.gelu('tanh'),
  /** x · σ(1.702 x), as in GPT-1 and CLIP. */
  'gelu-sigmoid': (x: Tensor) => x.gelu('sigmoid'),
  /** x · σ(x): Ramachandran et al. 2017 with β = 1. */
  silu,
  sigmoid: (x: Tensor) => x.sigmoid(),
  tanh: (x: Tensor) => x.tanh(),
  'leaky-relu': (x: Tensor) => leakyRelu(x),
  'squared-relu': squaredRelu,
  relu6,
  elu: (x: Tensor) => elu(x),
  celu: (x: Tensor) => celu(x),
  selu,
  mish,
  softplus: (x: Tensor) => softplus(x),
  softsign,
  'log-sigmoid': logSigmoid,
  'hard-sigmoid': hardSigmoid,
  'hard-swish': hardSwish,
  'hard-tanh': (x: Tensor) => hardTanh(x),
}

/** An elementwise nonlinearity by its name. */
export type Activation = keyof typeof activations

/** Applies an activation. */
export function activate(x: Tensor, activation: Activation): Tensor {
  return activations[activation](x)
}

/**
 * An activation as a layer, for `Sequential`.
 *
 * @example
 * ```ts
 * import { randomKey } from '@tessera/core'
 * import { Activate, Linear, Sequential } from '@tessera/nn'
 * const model = new Sequential([new Linear(4, 8, { key: randomKey(0) }), new Activate('mish')])
 * console.log(model.parameterCount) // 40
 * ```
 */
export class Activate extends Module implements Layer {
  readonly activation: Activation

  constructor(activation: Activation) {
    super()
    this.activation = activation
  }

  forward(x: Tensor): Tensor {
    return activate(x, this.activation)
  }
}

/** x for x > 0, learned slope · x elsewhere (He et al. 2015): one slope for each channel, ¼ at first. */
export class PRelu extends Module implements Layer {
  /** `[channels]` */
  slope: Tensor
  /** Axis of the channels: 1 of images, −1 of vectors. */
  readonly axis: number

  constructor(channels: number, axis = -1) {
    super()
    checkExtents('PRelu', { channels })
    this.slope = full([channels], 0.25)
    this.axis = axis
  }

  forward(x: Tensor): Tensor {
    const at = this.axis < 0 ? this.axis + x.rank : this.axis
    return leakyRelu(x, this.slope.reshape(x.shape.map((extent, axis) => (axis === at ? extent : 1))))
  }
}
