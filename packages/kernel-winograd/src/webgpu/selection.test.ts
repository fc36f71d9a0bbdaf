import { softwareAdapters } from '@tessera/backend-webgpu/node'
import {
  conv2d,
  createRuntime,
  grad,
  jit,
  type Plugin,
  type RuntimeOptions,
  randomKey,
  randomNormal,
  type Tensor,
} from '@tessera/core'
import { assertClose } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { winograd } from '../winograd.ts'
import { webGpuWinogradF4 } from './convolution.ts'

const { plugin, isExpected } = softwareAdapters[0]!

/** The gradients of a layer with bias and ReLU, and the kernels that computed them. */
async function layer(plugins: readonly Plugin[], options: Omit<RuntimeOptions, 'use'> = {}) {
  const runtime = await createRuntime({ use: [plugin, ...plugins], ...options })
  const step = jit((x: Tensor, filter: Tensor, bias: Tensor) =>
    grad(([input, filters]: Tensor[]) =>
      conv2d(input!, filters!, { padding: 1 })
        .add(bias.reshape([-1, 1, 1]))
        .relu()
        .square()
        .sum(),
    )([x, filter]),
  )
  const normal = (seed: number, shape: number[], scale = 1) => randomNormal(randomKey(seed), shape).multiply(scale)
  const gradients = step(normal(1, [1, 64, 27, 26]), normal(2, [64, 64, 3, 3], 0.05), normal(3, [64])) as Tensor[]
  const values = await Promise.all(gradients.map((gradient) => gradient.data()))
  const explanation = step.explain()
  await runtime.close()
  return { values, explanation }
}

describe.runIf(isExpected)('winograd() with webgpu()', () => {
  it('speeds up layers and their gradients, with what follows them as epilogues', async () => {
    const [direct, actual] = [await layer([]), await layer([winograd()])]
    for (const kernel of ['winograd-f4,', 'winograd-f4-backward-input', 'winograd-f4-backward-filter'])
      expect(actual.explanation).toContain(kernel)
    expect(actual.explanation).toMatch(/winograd-f4 .* convolution f32.*, then/)
    direct.values.forEach((expected, i) => {
      assertClose(actual.values[i]!, expected, { relative: 1e-4, absolute: 2e-2 }, `gradient ${i}`)
    })
  })

  it('reads and writes halves, and sums in f32', async () => {
    const half = async (plugins: readonly Plugin[]) => {
      const runtime = await createRuntime({ use: [plugin, ...plugins] })
      const normal = (seed: number, shape: number[], scale: number) =>
        randomNormal(randomKey(seed), shape).multiply(scale).cast('f16')
      const [x, filter] = [normal(1, [1, 64, 27, 26], 1), normal(2, [64, 64, 3, 3], 0.05)]
      const forward = jit((x: Tensor, filter: Tensor) => conv2d(x, filter, { padding: 1 }))
      const result = forward(x, filter)
      const values = await result.cast('f32').data()
      const explanation = forward.explain()
      await runtime.close()
      return { dtype: result.dtype, values, explanation }
    }
    const [direct, actual] = [await half([]), await half([winograd()])]
    expect(actual.explanation).toMatch(/winograd-f[24]/)
    expect(direct.explanation).not.toMatch(/winograd-f[24]/)
    expect(actual.dtype).toBe('f16')
    // Both round to halves, of which neighbours differ by 2^-10.
    assertClose(actual.values, direct.values, { relative: 2 ** -9, absolute: 2e-3 }, 'images')
  })

  it('takes F(2×2) where the error of F(4×4) is not allowed', async () => {
    const { explanation } = await layer([winograd()], { tolerance: 3e-6 })
    for (const kernel of ['winograd-f2,', 'winograd-f2-backward-input', 'winograd-f2-backward-filter'])
      expect(explanation).toContain(kernel)
  })

  it('takes single kernels', async () => {
    const kernels = [webGpuWinogradF4] as never
    const { explanation } = await layer([{ name: 'f4', apiVersion: 1, requires: ['webgpu'], kernels }])
    expect(explanation).toContain('winograd-f4')
    expect(explanation).toContain('webgpu-convolution-backward-filter')
  })
})
