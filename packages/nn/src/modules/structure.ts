import type { Tensor } from '@tessera/core'
import { type Layer, Module } from './module.ts'

/** Axes from `first` on become one: by default all but the batch. */
export class Flatten extends Module implements Layer {
  readonly first: number

  constructor(first = 1) {
    super()
    this.first = first
  }

  forward(x: Tensor): Tensor {
    return x.flatten(this.first)
  }
}

/**
 * `x + branch(x)`, or `shortcut(x) + branch(x)` where the branch changes the shape (He et al. 2016).
 *
 * @example
 * ```ts
 * import { ones, randomKey } from '@tessera/core'
 * import { Linear, Residual } from '@tessera/nn'
 * const block = new Residual(new Linear(4, 4, { key: randomKey(0), activation: 'relu' }))
 * console.log(block.forward(ones([2, 4])).shape) // [2, 4]
 * ```
 */
export class Residual extends Module implements Layer {
  readonly branch: Layer
  readonly shortcut: Layer | undefined

  constructor(branch: Layer, shortcut?: Layer) {
    super()
    this.branch = branch
    this.shortcut = shortcut
  }

  forward(x: Tensor): Tensor {
    return (this.shortcut?.forward(x) ?? x).add(this.branch.forward(x))
  }
}
