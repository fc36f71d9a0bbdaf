import { describe, expect, it } from 'vitest'
import { rowMajorView } from '../graph/view.ts'
import { attention, conv2d, createRuntime, grad, jit, randomKey, randomNormal, type Tensor } from '../index.ts'
import type { OpCall } from '../schedule/program.ts'
import { shareOfRoofline, workOf } from './roofline.ts'

const operand = (buffer: number, ...shape: number[]) => ({ buffer, dtype: 'f32' as const, view: rowMajorView(shape) })
const call = (op: string, attributes: object, inputs: OpCall['inputs'], output: OpCall['inputs'][number]): OpCall =>
  ({ op, attributes, inputs, outputs: [output] }) as OpCall

describe('the work of a call', () => {
  it('counts a multiply–add as two operations, and each operand once', () => {
    const product = call('matmul', {}, [operand(0, 3, 4, 5), operand(1, 3, 5, 6)], operand(2, 3, 4, 6))
    expect(workOf(product)).toEqual({ operations: 2 * 3 * 4 * 5 * 6, bytes: 4 * (60 + 90 + 72) })
  })

  it('is the same for a convolution and its gradients', () => {
    const [input, filter, output] = [operand(0, 2, 6, 8, 8), operand(1, 4, 3, 3, 3), operand(2, 2, 4, 6, 6)]
    const operations = 2 * 2 * 4 * 36 * 27
    const work = [
      call('convolution', {}, [input, filter], output),
      call('convolutionBackwardInput', {}, [output, filter], input),
      call('convolutionBackwardFilter', {}, [input, output], filter),
    ].map((each) => workOf(each).operations)
    expect(work).toEqual([operations, operations, operations])
  })

  it('counts half of the scores of causal attention, and decoded weights as products', () => {
    const rows = [0, 1, 2, 3].map((buffer) => operand(buffer, 2, 8, 16))
    const masked = call('attention', { causal: true, scale: 1, offset: false }, rows.slice(0, 3), rows[3]!)
    expect(workOf(masked).operations).toBe(2 * (2 * 8 * 8 * 0.5) * 32)
    const inputs = [operand(0, 1, 64), { ...operand(1, 10, 64), dtype: 'i8' as const }, operand(2, 10, 1)]
    expect(workOf(call('quantizedMatmul', { bits: 8, block: 64 }, inputs, operand(3, 1, 10)))).toEqual({
      operations: 2 * 640,
      bytes: 256 + 640 + 40 + 40,
    })
  })

  it('counts repeated elements once, and the ops of loops for each element', () => {
    const repeated = { ...operand(0, 4, 5), view: { shape: [4, 5], strides: [0, 1], offset: 0 } }
    const body = {
      domain: [4, 5],
      kind: 'map',
      instructions: [
        { kind: 'load', input: 0, dtype: 'f32' },
        { kind: 'compute', op: 'exp', arguments: [0], dtype: 'f32' },
      ],
      stores: [1],
    }
    expect(workOf(call('fused', body, [repeated], operand(1, 4, 5)))).toEqual({ operations: 20, bytes: 4 * 25 })
  })

  it('is limited by what takes longer', () => {
    const limits = { gigaflops: 100, gigabytesPerSecond: 10 }
    expect(shareOfRoofline({ operations: 1e6, bytes: 1e3 }, limits, 20)).toEqual({ share: 0.5, limit: 'arithmetic' })
    expect(shareOfRoofline({ operations: 1e3, bytes: 1e6 }, limits, 400)).toEqual({ share: 0.25, limit: 'memory' })
  })
})

describe('the performance timeline', () => {
  it('has each call of a measured run', async () => {
    const runtime = await createRuntime({ debug: 2, log: () => {} })
    const step = jit(function traced(x: Tensor, filter: Tensor) {
      return grad((from: Tensor) => attention(from, from, conv2d(from, filter, { padding: 1 })).sum())(x)
    })
    await step(randomNormal(randomKey(1), [1, 2, 4, 4]), randomNormal(randomKey(2), [2, 2, 3, 3])).data()
    const entries = performance.getEntriesByType('measure') as unknown as {
      name: string
      startTime: number
      duration: number
      detail: { devtools: { track: string } }
    }[]
    const own = entries.filter(({ detail }) => detail?.devtools.track === 'traced on reference')
    expect(own.length).toBeGreaterThan(2)
    expect(own[0]!.name).toMatch(/^reference\//)
    own.slice(1).forEach(({ startTime }, i) => {
      expect(startTime).toBeCloseTo(own[i]!.startTime + own[i]!.duration, 6)
    })
    performance.clearMeasures()
    await runtime.close()
  })
})
