import {
  createRuntime,
  jit,
  type Kernel,
  type OpCall,
  type Plugin,
  quantizedMatmul,
  quantizeMatrix,
  randomKey,
  randomNormal,
  referencePlugin,
  type Tensor,
} from '@tessera/core'
import { assertClose, quantizedMatmulCall, quantizedMatmulReference, testKernel } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { softwareAdapters } from '../../testing/adapters.ts'
import { planDecodedTiles } from './matrices.ts'
import { quantizedProblem } from './problem.ts'
import { quantizedMatmulKernel } from './quantized.ts'
import { planVectors } from './vectors.ts'

type QuantizedKernel = Kernel<'quantizedMatmul', 'webgpu'>

/** The shaders that a graphics card would get. */
const card = (name: string, plan: typeof planVectors): QuantizedKernel => ({
  ...quantizedMatmulKernel,
  name,
  build: (call) => (environment, memory) => {
    const features = { ...environment.features, software: false }
    return plan(call as unknown as OpCall, quantizedProblem(call)!, { ...environment, features }, memory)
  },
})

const few = [
  quantizedMatmulCall([2, 2], 5, 64, 8, 16),
  quantizedMatmulCall([1], 1, 16, 8, 16),
  quantizedMatmulCall([1], 67, 48, 8, 48),
  quantizedMatmulCall([2, 2], 600, 32, 8, 32),
  quantizedMatmulCall([1], 1, 32, 4, 32),
  quantizedMatmulCall([1], 67, 96, 4, 32),
  quantizedMatmulCall([5], 21, 64, 4, 64),
]
const many = [quantizedMatmulCall([37], 9, 96, 8, 24), quantizedMatmulCall([2, 17], 70, 96, 4, 32)]
const refuses = [quantizedMatmulCall([1], 4, 6, 8, 6), quantizedMatmulCall([0], 4, 16, 8, 16)]

for (const { name, backend, isExpected } of softwareAdapters) {
  if (!isExpected) continue
  describe(name, () => {
    const test = (kernel: QuantizedKernel, calls: typeof few, refused: typeof few = []): void =>
      testKernel({
        kernel,
        backend,
        reference: quantizedMatmulReference,
        run: { describe, it },
        calls,
        refuses: refused,
      })
    test(quantizedMatmulKernel, [...few, ...many], refuses)
    test(card('shared vectors', planVectors), few.slice(3, 7))
    test(card('decoded tiles', planDecodedTiles), many.slice(1))
  })
}

describe.runIf(softwareAdapters[0]!.isExpected)('quantised products in programs', () => {
  const layer = jit((x: Tensor, weight: ReturnType<typeof quantizeMatrix>, bias: Tensor, rest: Tensor) =>
    quantizedMatmul(x, weight).add(bias).gelu().add(rest),
  )
  const run = async (plugin: Plugin, rows: number, bits: 8 | 4) => {
    const runtime = await createRuntime({ use: [plugin] })
    const weight = quantizeMatrix(randomNormal(randomKey(2), [130, 64]), { bits })
    const [x, bias] = [randomNormal(randomKey(1), [rows, 64]), randomNormal(randomKey(3), [130])]
    const values = await layer(x, weight, bias, randomNormal(randomKey(4), [rows, 130])).data()
    const explained = layer.explain()
    await runtime.close()
    return { values, explained }
  }

  for (const [rows, bits] of [
    [3, 8],
    [40, 4],
  ] as const) {
    it(`take what follows as an epilogue: ${rows} rows, ${bits} bits`, async () => {
      const { values, explained } = await run(softwareAdapters[0]!.plugin, rows, bits)
      expect(explained).toMatch(/webgpu-quantized-matmul .*then add/)
      assertClose(values, (await run(referencePlugin, rows, bits)).values, { relative: 1e-4, absolute: 1e-4 }, 'layer')
    })
  }
})
