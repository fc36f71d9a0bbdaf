import { splitKey, type Tensor, TesseraError } from '@tessera/core'
import type { Initializer } from '../initializers/initializers.ts'
import type { Activation } from './activations.ts'
import { Linear } from './linear.ts'
import { type Layer, Module } from './module.ts'

export interface MlpOptions {
  /** Random key of the first weights. */
  readonly key: Tensor
  /** Between the linear layers, not after the last; `gelu` by default. */
  readonly activation?: Activation
  readonly bias?: boolean
  /** First weights of every layer; by default those of `Linear`. */
  readonly initializer?: Initializer
  /** First weights of the last layer, for example scaled down for a residual branch. */
  readonly outputInitializer?: Initializer
}

/**
 * A multilayer perceptron: linear layers with an activation between them.
 *
 * @example
 * ```ts
 * import { randomKey } from '@tessera/core'
 * import { Mlp } from '@tessera/nn'
 * const feedForward = new Mlp([128, 512, 128], { key: randomKey(0), activation: 'gelu-tanh' })
 * console.log(feedForward.parameterCount) // 131712
 * ```
 */
export class Mlp extends Module implements Layer {
  readonly layers: readonly Linear[]

  /** @param extents channels at the input, after each hidden layer and at the output */
  constructor(extents: readonly number[], options: MlpOptions) {
    super()
    if (extents.length < 2) {
      throw new TesseraError(
        'MODULE_CONFIGURATION',
        `Mlp: takes at least two extents, those of the input and the output, got [${extents.join(', ')}].`,
      )
    }
    const { bias = true, activation = 'gelu', initializer, outputInitializer = initializer } = options
    const keys = splitKey(options.key, extents.length - 1)
    this.layers = keys.map((key, i) => {
      const isLast = i === keys.length - 1
      const chosen = isLast ? outputInitializer : initializer
      const others = { ...(chosen && { initializer: chosen }), ...(!isLast && { activation }) }
      return new Linear(extents[i]!, extents[i + 1]!, { key, bias, ...others })
    })
  }

  forward(x: Tensor): Tensor {
    return this.layers.reduce((value, layer) => layer.forward(value), x)
  }
}
