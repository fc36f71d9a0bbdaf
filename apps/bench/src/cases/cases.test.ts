import { expect, it } from 'vitest'
import { conv2dFamily, conv2dOperands } from './conv2d.ts'
import { batchCount, gptBatch, gptParameters, gptStepFamily } from './gpt-step.ts'
import { benchmarkCases } from './index.ts'
import { tokenInput, uniformInput } from './inputs.ts'
import { matmulFamily, matmulOperands } from './matmul.ts'
import { opFamily } from './op.ts'
import { vggFamily } from './vgg.ts'

it('names every case once', () => {
  const names = benchmarkCases.map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
  expect(names).toContain('matmul/1024/NT')
  expect(names).toContain('gpt-step/nanogpt-cpu')
})

it('draws inputs that are spread over [−1, 1) and differ by seed', () => {
  const values = uniformInput(10_000, 1)
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
  expect(Math.abs(mean)).toBeLessThan(0.02)
  expect(variance).toBeCloseTo(1 / 3, 1)
  expect(Math.min(...values)).toBeGreaterThanOrEqual(-1)
  expect(Math.max(...values)).toBeLessThan(1)
  expect(uniformInput(8, 2)).not.toEqual(uniformInput(8, 1))
  expect(new Set(tokenInput(1000, 5, 65)).size).toBe(65)
})

it('stores the operands of a product as its transposes say, and expects the same product of all', () => {
  const shapes = matmulFamily.checks.map((check) => matmulOperands(check)).map(({ shapeA, shapeB }) => [shapeA, shapeB])
  expect(shapes).toEqual([
    [
      [13, 37],
      [37, 29],
    ],
    [
      [13, 37],
      [29, 37],
    ],
    [
      [37, 13],
      [37, 29],
    ],
    [
      [37, 13],
      [29, 37],
    ],
  ])
  const small = { kind: 'matmul', name: 'small', m: 1, n: 2, k: 2, transposeA: false } as const
  const { a, b } = matmulOperands({ ...small, transposeB: false })
  expect([...matmulFamily.expected({ ...small, transposeB: false })]).toEqual([
    a[0]! * b[0]! + a[1]! * b[2]!,
    a[0]! * b[1]! + a[1]! * b[3]!,
  ])
  expect([...matmulFamily.expected({ ...small, transposeB: true })]).toEqual([
    a[0]! * b[0]! + a[1]! * b[1]!,
    a[0]! * b[2]! + a[1]! * b[3]!,
  ])
})

it('compares large products at their corners and elsewhere', () => {
  const large = matmulFamily.cases.at(-1)!
  const indices = matmulFamily.checkedIndices(large)!
  const size = large.m * large.n
  expect(indices).toEqual(expect.arrayContaining([0, large.n - 1, size - large.n, size - 1]))
  expect(new Set(indices.map((index) => Math.floor(index / large.n) >> 7)).size).toBe(16)
  expect(new Set(indices.map((index) => (index % large.n) >> 7)).size).toBe(16)
  expect(Math.max(...indices)).toBeLessThan(size)
  expect(matmulFamily.expected(large)).toHaveLength(indices.length)
})

it('has the weights and batches of nanoGPT’s CPU recipe', () => {
  const recipe = gptStepFamily.cases[0]!
  const parameters = gptParameters(recipe)
  const count = parameters.reduce((sum, { values }) => sum + values.length, 0)
  // 0.80 M, as nanoGPT reports for this recipe (it leaves out the 8,192 position weights: 0.80 either way).
  expect(count).toBe(804_096)
  expect(gptStepFamily.work(recipe).bytes).toBe(28 * count)
  expect(parameters.map(({ name }) => name)).toContain('transformer.h.3.mlp.c_proj.weight')
  const batches = Array.from({ length: batchCount }, (_, index) => gptBatch(recipe, index))
  for (const { tokens, targets } of batches) {
    expect(tokens).toHaveLength(12 * 64)
    expect(targets.slice(0, 63)).toEqual(tokens.slice(1, 64))
    expect(Math.max(...tokens)).toBeLessThan(65)
  }
  expect(batches[1]!.tokens).not.toEqual(batches[0]!.tokens)
})

it('compares large results of an op at many positions, and small ones whole', () => {
  const large = opFamily.cases.find(({ name }) => name.startsWith('softmax/'))!
  expect(opFamily.checkedIndices(large)).toHaveLength(4096)
  expect(opFamily.expected(large)).toHaveLength(4096)
  for (const check of opFamily.checks) expect(opFamily.checkedIndices(check)).toBeUndefined()
})

it('expects rows of a softmax that add up to one, and gradients of a cross-entropy that add up to nothing', () => {
  const sums = (name: string, columns: number): number[] => {
    const values = opFamily.expected(opFamily.checks.find((check) => check.name === name)!)
    return Array.from({ length: values.length / columns }, (_, row) =>
      values.subarray(row * columns, (row + 1) * columns).reduce((sum, value) => sum + value, 0),
    )
  }
  for (const sum of sums('softmax/check', 37)) expect(sum).toBeCloseTo(1, 12)
  for (const sum of sums('cross-entropy/check', 131)) expect(sum).toBeCloseTo(0, 12)
})

it('expects of a convolution what its definition says, and of its gradients the same sum of products', () => {
  const [forward, backwardInput, backwardFilter] = ['forward', 'backward-input', 'backward-filter'].map(
    (pass) => conv2dFamily.checks.find(({ name }) => name === `conv2d/check/stride-2/n2/${pass}`)!,
  )
  const { shapes, input, filter, error } = conv2dOperands(forward!)
  expect(shapes).toEqual({ input: [2, 5, 11, 11], filter: [7, 5, 3, 3], error: [2, 7, 6, 6] })
  const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
    let sum = 0
    for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
    return sum
  }
  // ⟨g, x ∗ w⟩ = ⟨∂x, x⟩ = ⟨∂w, w⟩
  const product = dot(error, conv2dFamily.expected(forward!))
  expect(dot(conv2dFamily.expected(backwardInput!), input)).toBeCloseTo(product, 9)
  expect(dot(conv2dFamily.expected(backwardFilter!), filter)).toBeCloseTo(product, 9)
  // The first result is that of the filter's lower right part: a row and a column of zeros lie around the image.
  const first = [0, 1, 2, 3, 4].flatMap((c) =>
    [0, 1].flatMap((y) => [0, 1].map((x) => input[c * 121 + y * 11 + x]! * filter[c * 9 + (y + 1) * 3 + x + 1]!)),
  )
  expect(conv2dFamily.expected(forward!)[0]).toBeCloseTo(
    first.reduce((sum, value) => sum + value, 0),
    12,
  )
})

it('counts 30.7 billion operations in the convolutions of VGG-16', () => {
  expect(vggFamily.work(vggFamily.cases[0]!).flops / 1e9).toBeCloseTo(30.69, 1)
})
