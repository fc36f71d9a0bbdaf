import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import { add, mean, multiply, reciprocal, square, squareRoot, subtract, sumTo } from '../build.ts'
import { createNode, formatSpec, type Node } from '../node.ts'
import { sameShape } from '../shape.ts'
import { lastAxis, requireRow } from './rows.ts'

/** Attributes of the ops in this file. */
export interface LayerNormAttributes {
  /** Inputs `x [..., C]`, then `gain [C]` and `bias [C]` as `affine` says. */
  layerNorm: { readonly epsilon: number; readonly affine: 'none' | 'gain' | 'gain and bias' }
}

function standardized(x: Node, epsilon: number): { normal: Node; inverseDeviation: Node } {
  const centered = subtract(x, mean(x, lastAxis(x)))
  const inverseDeviation = reciprocal(squareRoot(add(mean(square(centered), lastAxis(x)), epsilon)))
  return { normal: multiply(centered, inverseDeviation), inverseDeviation }
}

/** Ba, Kiros & Hinton 2016, over the last axis; the variance is the population's. */
export const layerNorm: OpDefinition<'layerNorm'> = {
  op: 'layerNorm',
  shape: (inputs, { affine }) => {
    const x = requireRow('layerNorm', inputs[0])
    const expected = affine === 'none' ? 1 : affine === 'gain' ? 2 : 3
    const channels = x.shape.at(-1)!
    if (
      inputs.length !== expected ||
      inputs.slice(1).some(({ shape, dtype }) => !sameShape(shape, [channels]) || dtype !== x.dtype)
    ) {
      throw new ShapeError(
        `layerNorm: gain and bias must be ${x.dtype}[${channels}] like the last axis of ${formatSpec(x)}, got ${inputs.slice(1).map(formatSpec).join(', ')}.`,
      )
    }
    return [x]
  },
  lower: ([x, gain, bias], { epsilon }) => {
    const { normal } = standardized(x!, epsilon)
    const scaled = gain ? multiply(normal, gain) : normal
    return [bias ? add(scaled, bias) : scaled]
  },
  vjp: ({ inputs: [x, gain, bias], attributes: { epsilon }, cotangents: [gradient] }) => {
    const { normal, inverseDeviation } = standardized(x!, epsilon)
    const inner = gain ? multiply(gradient!, gain) : gradient!
    const projection = multiply(normal, mean(multiply(inner, normal), lastAxis(x!)))
    const toInput = multiply(inverseDeviation, subtract(subtract(inner, mean(inner, lastAxis(x!))), projection))
    const result = [toInput]
    if (gain) result.push(sumTo(multiply(gradient!, normal), gain.shape))
    if (bias) result.push(sumTo(gradient!, bias.shape))
    return result
  },
  batch: ({ inputs, attributes, batched, spread }) =>
    batched[1] || batched[2] ? undefined : [createNode(layerNorm, [spread(0), ...inputs.slice(1)], attributes)],
}
