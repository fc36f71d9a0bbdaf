import { ShapeError } from '../errors.ts'
import { layerNorm as layerNormOp } from '../graph/compounds/layer-norm.ts'
import { createNode } from '../graph/node.ts'
import { Tensor } from './tensor.ts'

/**
 * Standardises the last axis, then scales and shifts it: `(x − mean) / √(variance + epsilon) · gain + bias`.
 *
 * @param x `[..., channels]`
 * @param gain `[channels]`
 * @param bias `[channels]`, only with a gain
 */
export function layerNorm(x: Tensor, gain?: Tensor, bias?: Tensor, epsilon = 1e-5): Tensor {
  if (bias && !gain) throw new ShapeError('layerNorm: a bias needs a gain. Pass ones for the gain.')
  const affine = bias ? 'gain and bias' : gain ? 'gain' : 'none'
  const inputs = [x, gain, bias].flatMap((input) => (input ? [input.node] : []))
  return new Tensor(createNode(layerNormOp, inputs, { epsilon, affine }))
}
