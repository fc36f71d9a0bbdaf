import type { Tensor } from '@tessera/core'

const activations = {
  relu: (x: Tensor) => x.relu(),
  /** Hendrycks & Gimpel 2016, exact. */
  gelu: (x: Tensor) => x.gelu(),
  /** GPT-2's approximation of GELU. */
  'gelu-tanh': (x: Tensor) => x.gelu('tanh'),
  /** x · σ(x): Ramachandran et al. 2017 with β = 1. */
  silu: (x: Tensor) => x.multiply(x.sigmoid()),
  sigmoid: (x: Tensor) => x.sigmoid(),
  tanh: (x: Tensor) => x.tanh(),
}

/** An elementwise nonlinearity by its name. */
export type Activation = keyof typeof activations

/** Applies an activation. */
export function activate(x: Tensor, activation: Activation): Tensor {
  return activations[activation](x)
}
