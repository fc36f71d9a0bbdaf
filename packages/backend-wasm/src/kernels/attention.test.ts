import type { Backend, Kernel, OpCall, Operand, Plugin, Tensor, View } from '@tessera/core'
import {
  attention,
  createRuntime,
  jit,
  randomKey,
  randomNormal,
  referencePlugin,
  splitKey,
  tensor,
  valueAndGrad,
} from '@tessera/core'
import { type KernelTestCall, type ProgramBuilder, randomStorage, testKernel } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { threaded, variantBackend } from '../testing/backends.ts'
import { canEnableRevectorizer, supportsThreads, variants } from '../variant.ts'
import { wasm } from '../wasm.ts'
import { attentionBackwardKernel, attentionKernel } from './attention.ts'
import { wasmKernels } from './index.ts'

type Typed = Parameters<ReturnType<Kernel<'attention', 'reference'>['build']>>[0][number]

/** Position of an element of a view, whose batch index is one number over its leading axes. */
function elementAt({ shape, strides, offset }: View, batch: number, ...index: readonly number[]): number {
  const axes = shape.length - index.length
  let at = offset
  let rest = batch
  for (let axis = axes - 1; axis >= 0; axis--) {
    at += (rest % shape[axis]!) * strides[axis]!
    rest = Math.floor(rest / shape[axis]!)
  }
  index.forEach((place, i) => {
    at += place * strides[axes + i]!
  })
  return at
}

interface Head {
  readonly scores: number[][]
  readonly weights: number[][]
  readonly logarithms: number[]
}

/** Attention in plain loops of float64: an oracle of its own, not the op's definition. */
function attend(
  call: OpCall<'attention'> | OpCall<'attentionBackward'>,
  inputs: readonly Typed[],
  batch: number,
): Head {
  const { causal, scale, offset } = call.attributes
  const [query, key] = call.inputs as readonly [Operand, Operand]
  const [queries, width] = query.view.shape.slice(-2) as [number, number]
  const keys = key.view.shape.at(-2)!
  const first = offset ? inputs[3]![call.inputs[3]!.view.offset]! : keys - queries
  const scores = Array.from({ length: queries }, (_, i) =>
    Array.from({ length: keys }, (_, j) => {
      if (causal && j > i + first) return Number.NEGATIVE_INFINITY
      let sum = 0
      for (let d = 0; d < width; d++)
        sum += inputs[0]![elementAt(query.view, batch, i, d)]! * inputs[1]![elementAt(key.view, batch, j, d)]!
      return sum * scale
    }),
  )
  const logarithms = scores.map((row) => {
    const largest = Math.max(...row)
    return largest + Math.log(row.reduce((sum, score) => sum + Math.exp(score - largest), 0))
  })
  const weights = scores.map((row, i) => row.map((score) => Math.exp(score - logarithms[i]!)))
  return { scores, weights, logarithms }
}

const batchesOf = ({ view }: Operand) => view.shape.slice(0, -2).reduce((product, extent) => product * extent, 1)

const oracle: Kernel<'attention', 'reference'> = {
  name: 'test/attention',
  op: 'attention',
  backend: 'reference',
  tolerance: 1e-7,
  cost: () => 1,
  build: (call) => (inputs, outputs) => {
    const value = call.inputs[2]!.view
    const [mixed, logarithm] = call.outputs as readonly [Operand, Operand]
    for (let batch = 0; batch < batchesOf(call.inputs[0]!); batch++) {
      const { weights, logarithms } = attend(call, inputs, batch)
      weights.forEach((row, i) => {
        outputs[1]![elementAt(logarithm.view, batch, i)] = logarithms[i]!
        for (let e = 0; e < value.shape.at(-1)!; e++) {
          const sum = row.reduce((total, weight, j) => total + weight * inputs[2]![elementAt(value, batch, j, e)]!, 0)
          outputs[0]![elementAt(mixed.view, batch, i, e)] = sum
        }
      })
    }
  },
}

const backwardOracle: Kernel<'attentionBackward', 'reference'> = {
  name: 'test/attention-backward',
  op: 'attentionBackward',
  backend: 'reference',
  tolerance: 1e-7,
  cost: () => 1,
  build: (call) => (inputs, outputs) => {
    const views = call.inputs.map(({ view }) => view)
    const [query, , value] = views as [View, View, View]
    const [ofQuery, ofKey, ofValue] = call.outputs.map(({ view }) => view) as [View, View, View]
    const count = call.inputs.length
    const at = (input: number, batch: number, ...index: number[]) =>
      inputs[input]![elementAt(views[input]!, batch, ...index)]!
    const sum = (length: number, term: (i: number) => number) => {
      let total = 0
      for (let i = 0; i < length; i++) total += term(i)
      return total
    }
    for (let batch = 0; batch < batchesOf(call.inputs[0]!); batch++) {
      const { weights } = attend(call, inputs, batch)
      const [queries, width] = query.shape.slice(-2) as [number, number]
      const [keys, valueWidth] = value.shape.slice(-2) as [number, number]
      // The weights are those of the given log-sum-exps, which these tests do not take from the forward pass.
      const slopes = weights.map((row, i) =>
        row.map((weight, j) => {
          const toWeight = sum(valueWidth, (e) => at(count - 1, batch, i, e) * at(2, batch, j, e))
          return weight * (toWeight - at(count - 2, batch, i)) * call.attributes.scale
        }),
      )
      for (let d = 0; d < width; d++) {
        for (let i = 0; i < queries; i++)
          outputs[0]![elementAt(ofQuery, batch, i, d)] = sum(keys, (j) => slopes[i]![j]! * at(1, batch, j, d))
        for (let j = 0; j < keys; j++)
          outputs[1]![elementAt(ofKey, batch, j, d)] = sum(queries, (i) => slopes[i]![j]! * at(0, batch, i, d))
      }
      for (let e = 0; e < valueWidth; e++)
        for (let j = 0; j < keys; j++)
          outputs[2]![elementAt(ofValue, batch, j, e)] = sum(
            queries,
            (i) => weights[i]![j]! * at(count - 1, batch, i, e),
          )
    }
  },
}

interface Sizes {
  readonly batch: readonly number[]
  readonly queries: number
  readonly keys: number
  readonly width: number
  readonly valueWidth: number
  readonly causal: boolean
  readonly position?: number
}

function operandsOf(program: ProgramBuilder, { batch, queries, keys, width, valueWidth, position }: Sizes): Operand[] {
  return [
    program.input('f32', [...batch, queries, width]),
    program.input('f32', [...batch, keys, width]),
    program.input('f32', [...batch, keys, valueWidth]),
    ...(position === undefined ? [] : [program.input('i32', [])]),
  ]
}

const nameOf = ({ batch, queries, keys, width, valueWidth, causal, position }: Sizes) =>
  `[${batch}] ${queries} × ${keys}, ${width} and ${valueWidth} wide${causal ? ', causal' : ''}${position === undefined ? '' : ` from ${position}`}`

function forwardCall(sizes: Sizes): KernelTestCall {
  const { batch, queries, width, valueWidth, causal, position } = sizes
  return {
    name: nameOf(sizes),
    amplification: 4,
    write: (program, random) => {
      const inputs = operandsOf(program, sizes)
      const outputs = [
        program.output('f32', [...batch, queries, valueWidth]),
        program.output('f32', [...batch, queries]),
      ]
      program.call('attention', { causal, scale: width ** -0.5, offset: position !== undefined }, inputs, outputs)
      return inputs.map(({ dtype, view }) =>
        dtype === 'i32' ? Int32Array.of(position!) : randomStorage(random, 'f32', sizeOf(view)),
      )
    },
  }
}

const sizeOf = ({ shape }: View) => shape.reduce((product, extent) => product * extent, 1)

function backwardCall(sizes: Sizes): KernelTestCall {
  const { batch, queries, width, valueWidth, causal, position } = sizes
  return {
    name: nameOf(sizes),
    amplification: 8,
    write: (program, random) => {
      const inputs = operandsOf(program, sizes)
      const rows = [...batch, queries]
      const [logarithm, projection] = [program.input('f32', rows), program.input('f32', rows)]
      const gradient = program.input('f32', [...rows, valueWidth])
      const outputs = inputs.slice(0, 3).map(({ view }) => program.output('f32', view.shape))
      const attributes = { causal, scale: width ** -0.5, offset: position !== undefined }
      program.call('attentionBackward', attributes, [...inputs, logarithm, projection, gradient], outputs)
      const contents = inputs.map(({ dtype, view }) =>
        dtype === 'i32' ? Int32Array.of(position!) : randomStorage(random, 'f32', sizeOf(view)),
      )
      // The true log-sum-exps, by the oracle.
      const views = inputs.map((input, i) => ({ ...input, buffer: i }))
      const call = { op: 'attention', attributes, inputs: views, outputs: [] } as unknown as OpCall<'attention'>
      const heads = Array.from({ length: batchesOf(inputs[0]!) }, (_, head) => attend(call, contents, head).logarithms)
      return [
        ...contents,
        Float32Array.from(heads.flat()),
        randomStorage(random, 'f32', sizeOf(projection.view)),
        randomStorage(random, 'f32', sizeOf(gradient.view)),
      ]
    },
  }
}

const cases: readonly Sizes[] = [
  { batch: [2], queries: 1, keys: 1, width: 1, valueWidth: 1, causal: true },
  { batch: [], queries: 1, keys: 70, width: 18, valueWidth: 37, causal: false },
  { batch: [2], queries: 1, keys: 133, width: 64, valueWidth: 64, causal: true, position: 130 },
  { batch: [3], queries: 2, keys: 67, width: 7, valueWidth: 5, causal: true, position: 3 },
  { batch: [2, 2], queries: 19, keys: 19, width: 8, valueWidth: 16, causal: true },
  { batch: [1, 2], queries: 50, keys: 101, width: 20, valueWidth: 33, causal: true },
  { batch: [2], queries: 49, keys: 130, width: 16, valueWidth: 4, causal: true, position: 40 },
  { batch: [], queries: 97, keys: 5, width: 3, valueWidth: 12, causal: false },
]
/** Queries that see no key, and formats that there is no code for. */
const refused: Sizes = { batch: [], queries: 5, keys: 3, width: 4, valueWidth: 4, causal: true }

const variantTests = (name: string, backend: Backend, sizes: readonly Sizes[]): void => {
  describe(name, () => {
    const shared = { backend: backend as Backend<'wasm'>, run: { describe, it } }
    const refuses = [forwardCall(refused)]
    testKernel({ ...shared, kernel: attentionKernel, reference: oracle, calls: sizes.map(forwardCall), refuses })
    testKernel({
      ...shared,
      kernel: attentionBackwardKernel,
      reference: backwardOracle,
      calls: sizes.map(backwardCall),
    })
  })
}
for (const variant of variants) {
  if (variant === 'wide' && !canEnableRevectorizer()) continue
  variantTests(`${variant}, one thread`, variantBackend(variant), cases)
}
// Starting threads takes longer than the tests.
if (supportsThreads()) variantTests('relaxed, 3 threads', threaded('relaxed', 3), cases.slice(5, 6))

describe('attention in programs', () => {
  /** Self-attention with several heads from one product, and the gradient of everything. */
  async function block(plugins: readonly Plugin[], time: number): Promise<Float32Array[]> {
    const runtime = await createRuntime({ use: plugins })
    const [heads, width] = [3, 20]
    const [x, weights, out] = splitKey(randomKey(5), 3).map((key, i) =>
      randomNormal(
        key,
        [
          [2, time, 16],
          [16, 3 * heads * width],
          [heads * width, 16],
        ][i]!,
      ).multiply(0.3),
    ) as [Tensor, Tensor, Tensor]
    const step = jit((x: Tensor, weights: Tensor, out: Tensor) => {
      const { value, gradients } = valueAndGrad([x, weights, out], ([x, weights, out]) => {
        const parts = x!.matmul(weights!).reshape([2, time, 3, heads, width]).transpose([2, 0, 3, 1, 4])
        const [query, key, value] = [0, 1, 2].map((i) => parts.select(0, i)) as [Tensor, Tensor, Tensor]
        const mixed = attention(query, key, value, { causal: true }).transpose([0, 2, 1, 3])
        return mixed
          .reshape([2, time, heads * width])
          .matmul(out!)
          .square()
          .mean()
      })
      return [value, ...gradients]
    })
    const results: Float32Array[] = []
    for (const result of step(x, weights, out)) results.push(new Float32Array(await result.data()))
    await runtime.close()
    return results
  }
  const plugin = (variant: (typeof variants)[number], threads: number): Plugin => ({
    name: 'wasm',
    apiVersion: 1,
    backends: [threads === 1 ? wasm({ variant, threads: 1 }).backends![0]! : threaded(variant, threads)],
    kernels: wasmKernels,
  })

  it.each([33, 100])('agrees with the definition on strided parts of one product, %i tokens', async (time) => {
    const expected = await block([referencePlugin], time)
    const found = await block([plugin('relaxed', 1)], time)
    found.forEach((values, i) => {
      const size = Math.sqrt(expected[i]!.reduce((sum, value) => sum + value * value, 0) / values.length)
      values.forEach((value, k) => {
        expect(Math.abs(value - expected[i]![k]!)).toBeLessThan(2e-5 * (size + Math.abs(expected[i]![k]!)))
      })
    })
  })

  it.skipIf(!supportsThreads())('gives the same bits whatever the number of threads', async () => {
    const expected = await block([plugin('relaxed', 1)], 230)
    for (const threads of [2, 5]) expect(await block([plugin('relaxed', threads)], 230)).toEqual(expected)
  })

  it('spreads NaN to the queries that see it, and to no other', async () => {
    const runtime = await createRuntime({ use: [plugin('relaxed', 1)] })
    const values = (rows: number) => Float32Array.from({ length: rows * 4 }, (_, i) => Math.sin(i))
    const keys = values(60)
    keys[30 * 4 + 1] = Number.NaN
    const [query, key, value] = [tensor(values(60), [60, 4]), tensor(keys, [60, 4]), tensor(values(60), [60, 4])]
    const mixed = [...(await attention(query, key, value, { causal: true }).data())]
    const rows = Array.from({ length: 60 }, (_, row) => mixed.slice(4 * row, 4 * row + 4).some(Number.isNaN))
    expect(rows).toEqual(Array.from({ length: 60 }, (_, row) => row >= 30))
    await runtime.close()
  })

  it('keeps memory linear in the length', async () => {
    const runtime = await createRuntime({ use: [plugin('relaxed', 1)] })
    const peak = async (length: number) => {
      const parts = [1, 2, 3].map((seed) => randomNormal(randomKey(seed), [1, length, 8]))
      for (const part of parts) await part.data()
      const step = jit((parts: Tensor[]) => valueAndGrad(parts, ([q, k, v]) => attention(q!, k!, v!).sum()).gradients)
      await step(parts)[0]!.data()
      return runtime.device.memory().peakBytes
    }
    const [small, large] = [await peak(1024), await peak(4096)]
    expect(large).toBeLessThan(4.2 * small)
    await runtime.close()
  })
})
