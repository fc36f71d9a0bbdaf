import { type Variant, wasm } from '@tessera/backend-wasm'
import {
  conv2d,
  createRuntime,
  grad,
  jit,
  maxPool2d,
  ones,
  type Plugin,
  type Runtime,
  type RuntimeOptions,
  randomKey,
  randomNormal,
  splitKey,
  type Tensor,
  tensor,
  valueAndGrad,
} from '@tessera/core'
import { describe, expect, it } from 'vitest'
import { winogradF2, winogradF2BackwardInput, winogradF4 } from './convolution.ts'
import { winogradF2BackwardFilter } from './filter-gradient.ts'
import { optimised } from './testing/cases.ts'
import { winograd } from './winograd.ts'

async function withRuntime(
  body: (runtime: Runtime) => Promise<void>,
  options: Omit<RuntimeOptions, 'use'> & { readonly plugins?: readonly Plugin[]; readonly variant?: Variant } = {},
): Promise<void> {
  const { plugins = [winograd()], variant = 'relaxed', ...rest } = options
  const own = wasm({ variant, threads: 1 })
  const use = [variant === 'wide' ? { ...own, backends: own.backends!.map(optimised) } : own, ...plugins]
  const runtime = await createRuntime({ use, ...rest })
  try {
    await body(runtime)
  } finally {
    await runtime.close()
  }
}

/** The line of an explanation that counts the kernels. */
const summaryOf = (explanation: string): string => explanation.split('\n')[1]!

/** The kernels that a gradient step of a convolution takes. */
async function kernelsOf(input: readonly number[], filter: readonly number[], options = {}): Promise<string> {
  const step = jit((x: Tensor, w: Tensor) =>
    grad((values: Tensor[]) => conv2d(values[0]!, values[1]!, options).square().sum())([x, w]),
  )
  const [gradient] = step(ones(input), ones(filter)) as Tensor[]
  await gradient!.data()
  return summaryOf(step.explain())
}

describe('selection', () => {
  it('takes F(4×4) for many channels, forward and backward', () =>
    withRuntime(async () => {
      const explanation = await kernelsOf([1, 64, 28, 28], [64, 64, 3, 3], { padding: 1 })
      for (const kernel of ['winograd-f4,', 'winograd-f4-backward-input', 'winograd-f4-backward-filter'])
        expect(explanation).toContain(kernel)
    }))

  it('takes F(2×2) where the error of F(4×4) is not allowed', () =>
    withRuntime(
      async () => {
        const explanation = await kernelsOf([1, 64, 28, 28], [64, 64, 3, 3], { padding: 1 })
        for (const kernel of ['winograd-f2,', 'winograd-f2-backward-input', 'winograd-f2-backward-filter'])
          expect(explanation).toContain(kernel)
      },
      { tolerance: 3e-6 },
    ))

  it('shows in `explain` which kernel won each layer, with the estimated and the measured time', () =>
    withRuntime(
      async () => {
        const filters = [ones([64, 64, 3, 3]), ones([8, 64, 3, 3])]
        const net = jit((x: Tensor) => filters.reduce((y, filter, i) => conv2d(y, filter, { stride: i + 1 }), x))
        await (net(ones([1, 64, 30, 30])) as Tensor).data()
        const layers = net
          .explain()
          .split('\n')
          .filter((line) => line.includes('convolution f32'))
        expect(layers).toHaveLength(2)
        for (const [i, name] of ['winograd-f4', 'wasm-convolution'].entries()) {
          const [, kernel, estimated, measured] = layers[i]!.match(
            /\d+ {2}(\S+) +([\d.]+) µs +([\d.]+) µs .*convolution f32/,
          )!
          expect(kernel).toBe(name)
          for (const microseconds of [estimated, measured]) expect(Number(microseconds)).toBeGreaterThan(0)
        }
      },
      { debug: 2, log: () => {} },
    ))

  it('takes bias and activation as an epilogue', () =>
    withRuntime(async () => {
      const layer = jit((x: Tensor, filters: Tensor, bias: Tensor) =>
        conv2d(x, filters, { padding: 1 })
          .add(bias.reshape([-1, 1, 1]))
          .relu(),
      )
      await (layer(ones([1, 64, 28, 28]), ones([64, 64, 3, 3]), ones([64])) as Tensor).data()
      expect(summaryOf(layer.explain())).toBe('1 calls: 1 × winograd-f4')
      expect(layer.explain()).toMatch(/winograd-f4 .* convolution f32.*, then add/)
    }))

  it('leaves small convolutions, and those that it cannot run, to the direct kernels', () =>
    withRuntime(async () => {
      for (const [input, filter, options] of [
        [[1, 3, 8, 8], [4, 3, 3, 3], {}],
        [[1, 64, 28, 28], [64, 64, 3, 3], { stride: 2 }],
        [[1, 64, 28, 28], [64, 64, 3, 3], { dilation: 2 }],
        [[1, 64, 28, 28], [64, 32, 3, 3], { groups: 2 }],
        [[1, 64, 28, 28], [64, 1, 3, 3], { groups: 64 }],
        [[1, 64, 28, 28], [64, 64, 5, 5], {}],
        [[1, 64, 28, 28], [64, 64, 3, 1], {}],
      ] as const) {
        const explanation = await kernelsOf(input, filter, options)
        expect(explanation).toMatch(/wasm-(depthwise-)?convolution/)
        expect(explanation).not.toContain('winograd')
      }
    }))
})

describe('filters that a jit function captures', () => {
  it('are transformed once, and each function keeps its own', () =>
    withRuntime(async (runtime) => {
      const keys = splitKey(randomKey(3), 4)
      const [a, b] = [randomNormal(keys[0]!, [32, 32, 3, 3]), randomNormal(keys[1]!, [32, 32, 3, 3])]
      const [first, second] = [a, b].map((filter) => jit((x: Tensor) => conv2d(x, filter, { padding: 1 })))
      const plain = jit((x: Tensor, filter: Tensor) => conv2d(x, filter, { padding: 1 }))
      const before = runtime.device.memory().usedBytes
      for (const key of keys.slice(2)) {
        const x = randomNormal(key, [1, 32, 24, 24])
        for (const [captured, filter] of [
          [first!, a],
          [second!, b],
        ] as const) {
          const [y, expected] = [captured(x) as Tensor, plain(x, filter) as Tensor]
          expect(summaryOf(captured.explain())).toContain('winograd')
          expect(await y.subtract(expected).abs().max().item()).toBe(0)
        }
      }
      expect(runtime.device.memory().usedBytes).toBeGreaterThan(before)
    }))
})

/** Losses of a small convolutional net that learns to tell apart two kinds of noise, 50 steps. */
async function train(variant: Variant, plugins: readonly Plugin[]): Promise<{ losses: number[]; explanation: string }> {
  const losses: number[] = []
  let explanation = ''
  await withRuntime(
    async () => {
      const keys = splitKey(randomKey(7), 5)
      const images = randomNormal(keys[0]!, [8, 4, 16, 16])
      const targets = tensor([1, -1, 1, -1, 1, -1, 1, -1])
      const weights = [
        randomNormal(keys[1]!, [16, 4, 3, 3]).multiply(0.2),
        randomNormal(keys[2]!, [16, 16, 3, 3]).multiply(0.1),
        randomNormal(keys[3]!, [16, 16, 3, 3]).multiply(0.1),
      ]
      const step = jit((state: { weights: Tensor[] }) => {
        const { value, gradients } = valueAndGrad(state.weights, ([a, b, c]) => {
          const first = maxPool2d(conv2d(images, a!, { padding: 1 }).relu(), 2)
          const second = conv2d(first, b!, { padding: 1 }).relu()
          const scores = conv2d(second, c!, { padding: 1 }).mean([1, 2, 3])
          return scores.multiply(4).subtract(targets).square().mean()
        })
        state.weights = state.weights.map((weight, i) => weight.subtract(gradients[i]!.multiply(0.5)))
        return value
      })
      const state = { weights }
      for (let i = 0; i < 50; i++) losses.push(await (step(state) as Tensor).item())
      explanation = summaryOf(step.explain())
    },
    { plugins, variant },
  )
  return { losses, explanation }
}

/** The kernels alone, at no cost, so that they are taken however small the convolution is. */
const only = (kernels: readonly object[]): Plugin => ({
  name: 'only',
  apiVersion: 1,
  requires: ['wasm'],
  kernels: kernels.map((kernel) => {
    const { cost } = kernel as typeof winogradF2
    return { ...kernel, cost: (...call: Parameters<typeof cost>) => (cost(...call) === undefined ? undefined : 0) }
  }) as never,
})

describe('training', () => {
  it.each(['relaxed', 'wide'] as const)(
    'follows the same losses with direct, F(2×2) and F(4×4) kernels, %s',
    async (variant) => {
      const direct = await train(variant, [])
      const f2 = await train(variant, [only([winogradF2, winogradF2BackwardInput, winogradF2BackwardFilter])])
      const f4 = await train(variant, [only(winograd().kernels!.filter(({ name }) => name.startsWith('winograd-f4')))])
      expect(direct.losses).toHaveLength(50)
      expect(direct.losses.at(-1)!).toBeLessThan(0.7 * direct.losses[0]!)
      for (const [name, { losses, explanation }] of [
        ['winograd-f2', f2],
        ['winograd-f4', f4],
      ] as const) {
        for (const kernel of [name, `${name}-backward-input`, `${name}-backward-filter`])
          expect(explanation).toContain(kernel)
        losses.forEach((loss, i) => {
          expect(Math.abs(loss - direct.losses[i]!) / direct.losses[i]!).toBeLessThan(1e-3)
        })
      }
    },
  )

  it('takes single kernels', () =>
    withRuntime(
      async () => {
        const layer = jit((x: Tensor, filter: Tensor) => conv2d(x, filter))
        await (layer(ones([1, 64, 30, 30]), ones([64, 64, 3, 3])) as Tensor).data()
        expect(summaryOf(layer.explain())).toContain('winograd-f4')
      },
      { plugins: [{ name: 'f4', apiVersion: 1, requires: ['wasm'], kernels: [winogradF4] as never }] },
    ))
})
