import { sizeOf } from '../graph/shape.ts'
import { tensor } from '../tensor/create.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { grad } from '../tensor/transforms.ts'
import { checkGradient } from './gradient.ts'
import { createRandom, seedFor } from './random.ts'

/** Numbers in [−1, 1) in float64, so that differences are exact to about 1e-9; no two of them tie. */
export function randomNumbers(shape: readonly number[], name: string): Float64Array {
  const random = createRandom(seedFor(name, 1))
  return Float64Array.from({ length: sizeOf(shape) }, () => random.uniform(-1, 1))
}

/**
 * Checks the gradients of a function of tensors to all of its inputs against central differences of a weighted sum of its values; with
 * `second`, also the gradients of those gradients.
 */
export async function checkTensorGradient(
  body: (...inputs: Tensor[]) => Tensor,
  shapes: readonly (readonly number[])[],
  options: { readonly second?: boolean; readonly seed?: string } = {},
): Promise<void> {
  const { seed = '' } = options
  const inputs = shapes.map((shape, i) => randomNumbers(shape, `${seed} input ${i}`))
  const asTensors = (arrays: readonly Float64Array[]) => arrays.map((array, i) => tensor(array, shapes[i]!))
  const weighted = (y: Tensor, name: string) => y.multiply(tensor(randomNumbers(y.shape, name), y.shape)).sum()
  const loss = (values: Tensor[]) => weighted(body(...values), `${seed} weights`)
  const check = (scalar: (values: Tensor[]) => Tensor) =>
    checkGradient({
      inputs,
      evaluate: (arrays) => scalar(asTensors(arrays)).item(),
      gradient: async (arrays) => {
        const gradients = grad(scalar)(asTensors(arrays)) as Tensor[]
        return Promise.all(gradients.map((gradient) => gradient.data()))
      },
    })
  await check(loss)
  if (!options.second) return
  await check((values) => {
    const gradients = grad(loss)(values) as Tensor[]
    return gradients
      .map((gradient, i) => weighted(gradient, `${seed} second weights ${i}`))
      .reduce((total, part) => total.add(part))
  })
}
