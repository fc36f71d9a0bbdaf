import { readFileSync } from 'node:fs'
import { jit, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { AdamW } from '@tessera/nn'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { importOnnx, type OnnxModel } from './model.ts'
import { encodeOnnx, type TestGraph, type TestTensor } from './testing/encode.ts'
import { compareOutputs, runHere, runOracle } from './testing/oracle.ts'

/** Models that PyTorch exported; fixtures/README.md says which. */
const fixture = (name: string) => new Uint8Array(readFileSync(new URL(`../fixtures/${name}.onnx`, import.meta.url)))

const float = (shape: readonly number[], seed = 1): TestTensor => ({
  type: 'float',
  shape,
  data: Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.fround(Math.sin(seed * 3.1 + i * 1.3))),
})
const tokens = (batch: number, time: number): TestTensor => ({
  type: 'int64',
  shape: [batch, time],
  data: Array.from({ length: batch * time }, (_, i) => (i * 7 + 3) % 23),
})

describe('models that PyTorch exported give what onnxruntime gives, for several shapes', () => {
  const cases: Record<string, readonly Record<string, TestTensor>[]> = {
    convolutional: [{ image: float([1, 3, 32, 24]) }, { image: float([2, 3, 20, 28], 2) }],
    transformer: [{ tokens: tokens(1, 7) }, { tokens: tokens(3, 12) }, { tokens: tokens(2, 1) }],
    encoder: [{ x: float([2, 5, 16]) }],
    recurrent: [{ x: float([2, 5, 4]) }, { x: float([1, 1, 4]) }],
  }
  for (const [name, list] of Object.entries(cases)) {
    test(name, async () => {
      const model = fixture(name)
      for (const inputs of list) compareOutputs(await runHere(model, inputs), await runOracle(model, inputs), 2e-5)
    })
  }
})

describe('an imported model is a module', () => {
  test('its inputs, outputs and weights have names; jit compiles it once for a shape', async () => {
    const model = importOnnx(fixture('convolutional'))
    expect(model.inputs).toEqual([{ name: 'image', dtype: 'f32', shape: ['batch', 3, 'height', 'width'] }])
    expect(model.outputs.map(({ name }) => name)).toEqual(['logits'])
    expect(Object.keys(model.parameters())).toContain('weights.head.weight')
    const run = jit((m: OnnxModel, x: Tensor) => m.forward(x))
    const { data, shape } = float([1, 3, 32, 24])
    const image = tensor(Float32Array.from(data), shape)
    expect([...(await run(model, image).data())]).toEqual([...(await model.forward(image).data())])
    run(model, image)
    expect(run.compilations).toBe(1)
  })

  test('it can be trained', async () => {
    const model = importOnnx(fixture('transformer'))
    const optimizer = new AdamW(model, { learningRate: 0.01 })
    const input = tensor(Int32Array.from([1, 2, 3, 4]), [1, 4])
    const step = jit((m: OnnxModel, adam: AdamW, x: Tensor) => {
      const { value, gradients } = valueAndGrad(m.parameters(), () =>
        m.forward(x).logSoftmax().select(-1, 5).mean().negate(),
      )
      adam.update(m, gradients)
      return value
    })
    const first = await step(model, optimizer, input).item()
    for (let i = 0; i < 10; i++) step(model, optimizer, input)
    expect(await step(model, optimizer, input).item()).toBeLessThan(first / 2)
  })
})

const relu: TestGraph = {
  nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }],
  inputs: [{ name: 'x', type: 'float', shape: ['n', 2] }],
  outputs: ['y'],
}

describe('errors say what does not fit', () => {
  test('operators that are not supported, all at once, inside of graphs as well', () => {
    const graph = (inner: TestGraph): TestGraph => ({
      nodes: [
        { op: 'If', inputs: ['c'], outputs: ['a'], attributes: { then_branch: inner, else_branch: inner } },
        { op: 'NonMaxSuppression', inputs: ['a'], outputs: ['b'] },
        { op: 'Scale', domain: 'com.example', inputs: ['b'], outputs: ['d'] },
      ],
      outputs: ['d'],
    })
    const inner = { nodes: [{ op: 'Unheard', inputs: ['x'], outputs: ['y'] }], outputs: ['y'] }
    expect(() => importOnnx(encodeOnnx(graph(inner)))).toThrow(
      /not supported: NonMaxSuppression, Unheard \(2 times\), com\.example\.Scale\. Give implementations/,
    )
    expect(() => importOnnx(encodeOnnx(graph(inner)))).toThrow(expect.objectContaining({ code: 'ONNX_UNSUPPORTED' }))
  })

  test('an implementation of one’s own makes up for it', async () => {
    const model = importOnnx(
      encodeOnnx({
        ...relu,
        nodes: [
          { op: 'Scale', domain: 'com.example', inputs: ['x'], outputs: ['y'], attributes: { by: { float: 3 } } },
        ],
      }),
      {
        operators: { 'com.example.Scale': (call) => call.tensor(0).multiply(call.float('by', 1)) },
      },
    )
    expect([...(await model.forward(tensor([[1, -2]])).data())]).toEqual([3, -6])
  })

  test('inputs', () => {
    const model = importOnnx(encodeOnnx(relu))
    expect(() => model.run({})).toThrow(/input "x" is missing\. The graph takes x/)
    expect(() => model.forward(tensor([[1, 2, 3]]))).toThrow(/input "x" must be f32\[n, 2\], got Tensor f32\[1, 3\]/)
    expect(() => model.forward(tensor(new Int32Array(2), [1, 2]))).toThrow(/got Tensor i32\[1, 2\]/)
  })

  test('shapes that depend on data', () => {
    const model = importOnnx(
      encodeOnnx({
        nodes: [{ op: 'Reshape', inputs: ['x', 's'], outputs: ['y'] }],
        inputs: [
          { name: 'x', type: 'float', shape: [4] },
          { name: 's', type: 'int64', shape: [2] },
        ],
        outputs: ['y'],
      }),
    )
    expect(() => model.run({ x: tensor([1, 2, 3, 4]), s: tensor(new Int32Array([2, 2])) })).toThrow(
      /Reshape "y".*depends on data/,
    )
  })

  test('graphs whose values are missing', () => {
    const model = importOnnx(encodeOnnx({ ...relu, nodes: [{ op: 'Relu', inputs: ['z'], outputs: ['y'] }] }))
    expect(() => model.forward(tensor([[1, 2]]))).toThrow(/Relu uses "z", which no node before it gives/)
  })
})

describe('control flow and shapes that are known while the graph is recorded', () => {
  test('If takes its branch, which sees the values around it', async () => {
    const branch = (op: string): TestGraph => ({
      nodes: [{ op, inputs: ['x', 'w'], outputs: ['r'] }],
      outputs: ['r'],
      weights: { w: { type: 'float', shape: [], data: [3] } },
    })
    const model = (limit: number) =>
      encodeOnnx({
        nodes: [
          { op: 'Size', inputs: ['x'], outputs: ['n'] },
          { op: 'Less', inputs: ['n', 'limit'], outputs: ['c'] },
          {
            op: 'If',
            inputs: ['c'],
            outputs: ['y'],
            attributes: { then_branch: branch('Add'), else_branch: branch('Mul') },
          },
        ],
        inputs: [{ name: 'x', type: 'float', shape: ['n'] }],
        outputs: ['y'],
        weights: { limit: { type: 'int64', shape: [], data: [limit] } },
      })
    for (const limit of [1, 9]) {
      const inputs = { x: float([4]) }
      compareOutputs(await runHere(model(limit), inputs), await runOracle(model(limit), inputs), 1e-6)
    }
  })
})

describe('untrusted files', () => {
  test('truncated anywhere, they are refused', () => {
    const file = fixture('recurrent')
    for (let length = 0; length < file.length; length += 97) {
      expect(() => importOnnx(file.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ code: 'ONNX_FILE' }),
      )
    }
    expect(() => importOnnx(new Uint8Array(0))).toThrow(/no ONNX model: there is no graph/)
  })

  test('damaged anywhere, they give a model or an OnnxError', () => {
    const file = encodeOnnx({ ...relu, weights: { w: float([3, 2]) } })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const damaged = file.slice()
          for (const [position, value] of changes) damaged[position] = value
          try {
            importOnnx(damaged)
          } catch (error) {
            expect(error).toMatchObject({ name: 'OnnxError' })
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  test('weights whose length does not fit their shape, and those in other files', async () => {
    const wrong = { ...relu, weights: { w: { type: 'float', shape: [2 ** 40], data: [1] } as TestTensor } }
    expect(() => importOnnx(encodeOnnx(wrong))).toThrow(/shape \[1099511627776\] has 1 elements of type float/)
  })
})
