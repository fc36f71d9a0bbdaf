import type { Tensor } from '@tessera/core'
import { type Layer, Module } from './module.ts'

/**
 * Layers one after another. Functions may stand between them.
 *
 * @example
 * ```ts
 * import { ones, randomKey } from '@tessera/core'
 * import { LayerNorm, Linear, Sequential } from '@tessera/nn'
 * const model = new Sequential([new Linear(4, 8, { key: randomKey(0) }), (x) => x.relu(), new LayerNorm(8)])
 * console.log(model.forward(ones([2, 4])).shape) // [2, 8]
 * ```
 */
export class Sequential extends Module implements Layer {
  readonly layers: readonly (Layer | ((x: Tensor) => Tensor))[]

  constructor(layers: readonly (Layer | ((x: Tensor) => Tensor))[]) {
    super()
    this.layers = layers
  }

  forward(x: Tensor): Tensor {
    return this.layers.reduce((value, layer) => (typeof layer === 'function' ? layer(value) : layer.forward(value)), x)
  }
}
