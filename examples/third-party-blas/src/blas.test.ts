import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  createRuntime,
  type Kernel,
  type OpAttributes,
  type Plugin,
  randomKey,
  randomNormal,
  splitKey,
  valueAndGrad,
} from '@tessera/core'
import {
  convolutionReferences,
  type KernelTestCall,
  randomStorage,
  testBackend,
  testKernel,
} from '@tessera/core/testing'
import { blas } from './index.ts'

const plugin: Plugin = blas()
const [backend] = plugin.backends!
const kernels = plugin.kernels as readonly Kernel[]

describe('blas', () => {
  testBackend({
    backend: backend!,
    kernels,
    run: { describe, it },
    capabilities: { formats: ['f32', 'f64', 'f16', 'bf16', 'i32', 'u32', 'i8', 'u8', 'bool'] },
  })

  const product = (name: string, a: number[], b: number[], c: number[], dtype: 'f32' | 'f64'): KernelTestCall => ({
    name: `${name} ${dtype}`,
    scale: Math.sqrt(a.at(-1)!),
    write: (program, random) => {
      const operands = [program.input(dtype, a), program.input(dtype, b)]
      program.call('matmul', {}, operands, [program.output(dtype, c)])
      return [a, b].map((shape) =>
        randomStorage(
          random,
          dtype,
          shape.reduce((x, y) => x * y, 1),
        ),
      )
    },
  })
  testKernel({
    kernel: kernels.find(({ name }) => name === 'blas/matmul')! as Kernel<'matmul'>,
    backend: backend!,
    run: { describe, it },
    calls: (['f32', 'f64'] as const).flatMap((dtype) => [
      product('1 × 1 × 1', [1, 1], [1, 1], [1, 1], dtype),
      product('33 × 65 × 17', [33, 65], [65, 17], [33, 17], dtype),
      product('batches', [2, 3, 7, 5], [2, 3, 5, 9], [2, 3, 7, 9], dtype),
    ]),
    refuses: [],
  })

  const geometries: Record<
    string,
    OpAttributes['convolution'] & { input: number[]; filter: number[]; result: number[] }
  > = {
    'one element': {
      stride: [1],
      padding: [[0, 0]],
      dilation: [1],
      groups: 1,
      input: [1, 1, 1],
      filter: [1, 1, 1],
      result: [1, 1, 1],
    },
    '3 × 3, padded': {
      stride: [1, 1],
      padding: [
        [1, 1],
        [1, 1],
      ],
      dilation: [1, 1],
      groups: 1,
      input: [2, 3, 7, 9],
      filter: [4, 3, 3, 3],
      result: [2, 4, 7, 9],
    },
    'strides, dilation, groups, padding on one side': {
      stride: [2, 1],
      padding: [
        [1, 0],
        [0, 2],
      ],
      dilation: [1, 2],
      groups: 2,
      input: [3, 4, 8, 7],
      filter: [6, 2, 3, 2],
      result: [3, 6, 4, 7],
    },
    'three axes': {
      stride: [1, 2, 1],
      padding: [
        [0, 0],
        [1, 1],
        [0, 0],
      ],
      dilation: [1, 1, 1],
      groups: 1,
      input: [1, 2, 3, 5, 4],
      filter: [3, 2, 2, 3, 1],
      result: [1, 3, 2, 3, 4],
    },
  }
  for (const op of ['convolution', 'convolutionBackwardInput', 'convolutionBackwardFilter'] as const) {
    testKernel({
      kernel: kernels.find(({ name }) => name === `blas/${op}`)! as Kernel<typeof op>,
      backend: backend!,
      reference: convolutionReferences[op] as Kernel<typeof op, 'reference'>,
      run: { describe, it },
      calls: Object.entries(geometries).map(([name, { input, filter, result, ...geometry }]) => ({
        name,
        scale: 8,
        write: (program, random) => {
          const [first, second, written] =
            op === 'convolution'
              ? [input, filter, result]
              : op === 'convolutionBackwardInput'
                ? [result, filter, input]
                : [input, result, filter]
          const attributes = { ...geometry, extents: input.slice(2), window: filter.slice(2) }
          program.call(
            op,
            attributes,
            [program.input('f32', first!), program.input('f32', second!)],
            [program.output('f32', written!)],
          )
          return [first!, second!].map((shape) =>
            randomStorage(
              random,
              'f32',
              shape.reduce((x, y) => x * y, 1),
            ),
          )
        },
      })),
    })
  }

  it('trains', async () => {
    const runtime = await createRuntime({ use: [plugin] })
    assert.equal(runtime.device.backend, 'blas')
    const [first, second] = splitKey(randomKey(1))
    const [x, w] = [randomNormal(first!, [8, 5]), randomNormal(second!, [5, 3])]
    const { value, gradients } = valueAndGrad(w, (weight) => x.matmul(weight).square().sum())
    const expected = x.transpose().matmul(x.matmul(w)).multiply(2)
    assert.ok((await value.item()) > 0)
    assert.deepEqual([...(await gradients.data())].map(Math.fround), [...(await expected.data())].map(Math.fround))
    await runtime.close()
  })

  it('says what is missing', async () => {
    const lost = blas({ path: '/nowhere/libopenblas.so' })
    await assert.rejects(createRuntime({ use: [lost] }), /OpenBLAS could not be loaded.*apt install libopenblas0/s)
  })
})
