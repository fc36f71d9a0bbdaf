import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ConvolutionGeometry } from '../graph/compounds/convolution.ts'
import {
  type ConvolutionOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  createRuntime,
  ones,
  type Tensor,
  tensor,
} from '../index.ts'
import { forEachTerm } from '../testing/convolution.ts'
import { checkTensorGradient, randomNumbers } from '../testing/tensor-gradient.ts'

const convolutions = [conv1d, conv2d, conv3d]
const transposed = [convTranspose1d, convTranspose2d, convTranspose3d]

const drawnAxis = fc.record({
  extent: fc.integer({ min: 1, max: 7 }),
  window: fc.integer({ min: 1, max: 3 }),
  stride: fc.integer({ min: 1, max: 3 }),
  dilation: fc.integer({ min: 1, max: 2 }),
  low: fc.nat(2),
  high: fc.nat(2),
})
const drawn = fc
  .record({
    axes: fc.array(drawnAxis, { minLength: 1, maxLength: 3 }),
    batch: fc.integer({ min: 0, max: 2 }),
    groups: fc.integer({ min: 1, max: 3 }),
    depth: fc.integer({ min: 1, max: 3 }),
    outputs: fc.integer({ min: 1, max: 2 }),
  })
  .filter(({ axes }) =>
    axes.every(({ extent, window, dilation, low, high }) => extent + low + high > dilation * (window - 1)),
  )
  .map(({ axes, batch, groups, depth, outputs }) => {
    const geometry = {
      stride: axes.map(({ stride }) => stride),
      dilation: axes.map(({ dilation }) => dilation),
      padding: axes.map(({ low, high }): [number, number] => [low, high]),
      groups,
    } satisfies ConvolutionGeometry
    return {
      geometry,
      input: [batch, groups * depth, ...axes.map(({ extent }) => extent)],
      filter: [groups * outputs, depth, ...axes.map(({ window }) => window)],
    }
  })

function expectClose(actual: ArrayLike<number>, expected: Float64Array): void {
  expect(actual.length).toBe(expected.length)
  expected.forEach((value, i) => {
    expect(Math.abs(actual[i]! - value)).toBeLessThan(1e-12)
  })
}

describe('convolution against plain loops in float64', () => {
  it('agrees at any rank, stride, padding, dilation and number of groups', async () => {
    const runtime = await createRuntime()
    await fc.assert(
      fc.asyncProperty(drawn, async ({ geometry, input, filter }) => {
        const [x, w] = [randomNumbers(input, 'x'), randomNumbers(filter, 'w')]
        const y = convolutions[input.length - 3]!(tensor(x, input), tensor(w, filter), geometry)
        const expected = new Float64Array(y.size)
        forEachTerm(input, filter, geometry, (i, f, r) => {
          expected[r]! += x[i]! * w[f]!
        })
        expectClose(await y.data(), expected)
      }),
      { numRuns: 60 },
    )
    await runtime.close()
  })

  it('is the transpose of the transposed convolution', async () => {
    const runtime = await createRuntime()
    await fc.assert(
      fc.asyncProperty(drawn, async ({ geometry, input, filter }) => {
        const positions = convolutions[input.length - 3]!(ones(input), ones(filter), geometry).shape
        const [g, w] = [randomNumbers(positions, 'g'), randomNumbers(filter, 'w')]
        const { stride, dilation, padding } = geometry
        const outputPadding = stride.map((step, i) => {
          const reach = dilation[i]! * (filter[i + 2]! - 1) + 1
          return (input[i + 2]! + padding[i]![0] + padding[i]![1] - reach) % step
        })
        const options = { ...geometry, outputPadding }
        const x = transposed[input.length - 3]!(tensor(g, positions), tensor(w, filter), options)
        expect(x.shape).toEqual(input)
        const expected = new Float64Array(x.size)
        forEachTerm(input, filter, geometry, (i, f, r) => {
          expected[i]! += g[r]! * w[f]!
        })
        expectClose(await x.data(), expected)
      }),
      { numRuns: 40 },
    )
    await runtime.close()
  })
})

type Convolve = (input: Tensor, filter: Tensor, options?: ConvolutionOptions) => Tensor
const gradientCases: Record<string, [Convolve, ConvolutionOptions, number[], number[]]> = {
  '1-D': [conv1d, { padding: 1 }, [2, 2, 5], [3, 2, 3]],
  '2-D with stride, uneven padding and dilation': [
    conv2d,
    { stride: [2, 1], padding: [[1, 0], 2], dilation: [1, 2] },
    [2, 2, 5, 4],
    [2, 2, 2, 3],
  ],
  '2-D with rows that no window reaches': [conv2d, { stride: 3 }, [1, 1, 6, 5], [2, 1, 2, 2]],
  'windows apart': [conv2d, { stride: 3 }, [1, 2, 4, 4], [2, 2, 1, 1]],
  grouped: [conv2d, { groups: 2, padding: 'same' }, [2, 4, 3, 3], [4, 2, 3, 2]],
  depthwise: [conv2d, { groups: 3, stride: 2, padding: 1 }, [1, 3, 4, 5], [6, 1, 3, 3]],
  '1 × 1': [conv2d, {}, [2, 3, 2, 2], [2, 3, 1, 1]],
  '3-D': [conv3d, { stride: [1, 2, 1], padding: 'same' }, [1, 1, 2, 3, 3], [2, 1, 2, 2, 2]],
  transposed: [
    (x, w, options) => convTranspose2d(x, w, { ...options, outputPadding: 1 } as object),
    { stride: 2, padding: 1 },
    [1, 2, 2, 3],
    [2, 2, 3, 3],
  ],
}

describe.each([true, false])('gradients of convolutions against finite differences, fused: %s', (fuse) => {
  it.each(Object.entries(gradientCases))('%s', async (name, [convolve, options, input, filter]) => {
    const runtime = await createRuntime({ fuse })
    const second = fuse && ['1-D', 'grouped', 'transposed'].includes(name)
    await checkTensorGradient((x, w) => convolve(x!, w!, options), [input, filter], { second })
    await runtime.close()
  })
})

describe('options of convolutions', () => {
  it('pads to the same extent, the odd element at the end', async () => {
    const runtime = await createRuntime()
    expect(conv2d(ones([1, 1, 7, 8]), ones([1, 1, 3, 2]), { padding: 'same' }).shape).toEqual([1, 1, 7, 8])
    expect(conv2d(ones([1, 1, 7, 8]), ones([1, 1, 3, 3]), { padding: 'same', stride: 2 }).shape).toEqual([1, 1, 4, 4])
    const y = conv1d(tensor([[[1, 2, 3]]]), tensor([[[1, 10]]]), { padding: 'same' })
    expect([...(await y.data())]).toEqual([21, 32, 3])
    await runtime.close()
  })

  it('adds a bias to each output channel and promotes formats', async () => {
    const runtime = await createRuntime()
    const x = tensor(new Int32Array([1, 2]), [1, 1, 2])
    const y = conv1d(x, tensor([[[1]], [[2]]]), { bias: tensor([10, 20]) })
    expect(y.dtype).toBe('f32')
    expect([...(await y.data())]).toEqual([11, 12, 22, 24])
    await runtime.close()
  })

  it('says what does not fit', () => {
    const x = ones([1, 3, 8, 8])
    expect(() => conv2d(x, ones([4, 4, 3, 3]))).toThrow(
      'conv2d: filter expects 4 input channels, input has 3 (shape [1, 3, 8, 8]).',
    )
    expect(() => conv2d(x, ones([4, 2, 3, 3]), { groups: 2 })).toThrow(
      'conv2d: filter expects 4 input channels (2 groups of 2), input has 3 (shape [1, 3, 8, 8]).',
    )
    expect(() => conv2d(x, ones([4, 1, 3, 3]), { groups: 3 })).toThrow('4 output channels do not divide into 3 groups')
    expect(() => conv2d(x, ones([4, 3, 9, 3]))).toThrow('reaches over 9 elements does not fit spatial axis 0')
    expect(() => conv2d(x, ones([4, 3, 3, 3]), { padding: -1 })).toThrow('integers ≥ 0')
    expect(() => conv2d(x, ones([4, 3, 3, 3]), { stride: 0 })).toThrow('must be integers ≥ 1')
    expect(() => conv2d(x, ones([4, 3, 3, 3]), { stride: [1, 2, 3] })).toThrow('stride [1, 2, 3] must be one number')
    expect(() => conv2d(ones([3, 8, 8]), ones([4, 3, 3, 3]))).toThrow(
      'conv2d: expects [N, C, height, width], got f32[3, 8, 8] with 3 axes.',
    )
    expect(() => conv2d(x, ones([4, 3, 3, 3]), { bias: ones([3]) })).toThrow('the bias must be [4]')
    expect(() => convTranspose2d(x, ones([4, 3, 3, 3]))).toThrow('filter expects 4 input channels, input has 3')
    expect(() => convTranspose2d(x, ones([3, 3, 3, 3]), { outputPadding: 1 })).toThrow('less than the stride [1, 1]')
    expect(() => convTranspose2d(ones([1, 3, 1, 1]), ones([3, 3, 2, 2]), { padding: 1 })).toThrow('Pad less')
  })
})
