import { clip, logAddExp } from './elementwise.ts'
import { where } from './indexing.ts'
import type { Tensor, TensorLike } from './tensor.ts'

/** Activations beside `relu`, `gelu`, `sigmoid`, `tanh` and `softmax`, which are methods. Each stands with its source. */

/** eᵃ − 1 for a ≤ 0. Elsewhere 0, so that nothing overflows where another branch counts. */
const expm1Below = (x: Tensor): Tensor => x.minimum(0).expm1()

/** x · σ(x): also called Swish (Elfwing et al. 2017; Ramachandran et al. 2017). */
export function silu(x: Tensor): Tensor {
  return x.multiply(x.sigmoid())
}

/** log(1 + eˣ), without overflow. */
export function softplus(x: Tensor, sharpness = 1): Tensor {
  return sharpness === 1 ? logAddExp(x, 0) : logAddExp(x.multiply(sharpness), 0).divide(sharpness)
}

/** log σ(x) = −softplus(−x) */
export function logSigmoid(x: Tensor): Tensor {
  return softplus(x.negate()).negate()
}

/** x · tanh(softplus(x)) (Misra 2019). */
export function mish(x: Tensor): Tensor {
  return x.multiply(softplus(x).tanh())
}

/** x for x > 0, slope · x elsewhere. A tensor as slope makes it PReLU (He et al. 2015); it broadcasts. */
export function leakyRelu(x: Tensor, slope: TensorLike = 0.01): Tensor {
  return where(x.greater(0), x, x.multiply(slope))
}

/** x for x > 0, scale · (eˣ − 1) elsewhere (Clevert et al. 2015). */
export function elu(x: Tensor, scale = 1): Tensor {
  return where(x.greater(0), x, expm1Below(x).multiply(scale))
}

/** ELU whose slope is continuous for every scale: scale · (e^(x / scale) − 1) below 0 (Barron 2017). */
export function celu(x: Tensor, scale = 1): Tensor {
  return where(x.greater(0), x, expm1Below(x.divide(scale)).multiply(scale))
}

/** The ELU that keeps mean 0 and variance 1 (Klambauer et al. 2017). */
export function selu(x: Tensor): Tensor {
  return elu(x, 1.6732632423543772).multiply(1.0507009873554805)
}

/** ReLU held below 6 (Howard et al. 2017). */
export function relu6(x: Tensor): Tensor {
  return clip(x, 0, 6)
}

/** max(x, 0)² (So et al. 2021). */
export function squaredRelu(x: Tensor): Tensor {
  return x.relu().square()
}

/** x / (1 + |x|) */
export function softsign(x: Tensor): Tensor {
  return x.divide(x.abs().add(1))
}

/** x held between −1 and 1. */
export function hardTanh(x: Tensor, low = -1, high = 1): Tensor {
  return clip(x, low, high)
}

/** (x + 3) / 6 held between 0 and 1 (Howard et al. 2019). */
export function hardSigmoid(x: Tensor): Tensor {
  return clip(x.divide(6).add(0.5), 0, 1)
}

/** x · hardSigmoid(x) (Howard et al. 2019). */
export function hardSwish(x: Tensor): Tensor {
  return x.multiply(hardSigmoid(x))
}

/** x where |x| > threshold, 0 elsewhere. */
export function hardShrink(x: Tensor, threshold = 0.5): Tensor {
  return where(x.abs().greater(threshold), x, 0)
}

/** x moved towards 0 by the threshold, and not beyond. */
export function softShrink(x: Tensor, threshold = 0.5): Tensor {
  return x.subtract(clip(x, -threshold, threshold))
}

/** x − tanh x */
export function tanhShrink(x: Tensor): Tensor {
  return x.subtract(x.tanh())
}

/** x where x > threshold, `value` elsewhere. */
export function threshold(x: Tensor, limit: number, value: number): Tensor {
  return where(x.greater(limit), x, value)
}

/**
 * The first half of an axis times a gate on the second (Dauphin et al. 2016). Another gate makes it SwiGLU, GEGLU or ReGLU (Shazeer 2020).
 *
 * @example
 * ```ts
 * import { gatedLinear, silu, tensor } from '@tessera/core'
 * const y = gatedLinear(tensor([[1, 2, 0, 0]]), -1, silu)
 * console.log(y.shape) // [1, 2]
 * ```
 */
export function gatedLinear(x: Tensor, axis = -1, gate: (x: Tensor) => Tensor = (half) => half.sigmoid()): Tensor {
  const [value, control] = x.split(2, axis) as [Tensor, Tensor]
  return value.multiply(gate(control))
}

/** softmax(−x) */
export function softmin(x: Tensor, axis = -1): Tensor {
  return x.negate().softmax(axis)
}
