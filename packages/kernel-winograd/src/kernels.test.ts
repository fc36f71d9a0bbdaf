import type { Variant } from '@tessera/backend-wasm'
import { wasm } from '@tessera/backend-wasm'
import type { Backend, Kernel } from '@tessera/core'
import { sizeOf } from '@tessera/core'
import {
  convolutionReferences,
  createRandom,
  type KernelTestCall,
  randomStorage,
  testKernel,
} from '@tessera/core/testing'
import { describe, it } from 'vitest'
import {
  winogradF2,
  winogradF2BackwardFilter,
  winogradF2BackwardInput,
  winogradF4,
  winogradF4BackwardFilter,
  winogradF4BackwardInput,
} from './kernels.ts'

interface Case {
  /** `[N, C, height, width]` */
  readonly input: readonly [number, number, number, number]
  readonly filters: number
  readonly padding?: readonly [readonly [number, number], readonly [number, number]]
}

const one = [
  [1, 1],
  [1, 1],
] as const

/** Odd extents, edges of every kind, more channels and tiles than blocks have, and single elements. */
const cases: Record<string, Case> = {
  'tiles that fit': { input: [2, 8, 8, 16], filters: 12, padding: one },
  'odd extents': { input: [3, 5, 7, 9], filters: 7, padding: one },
  'without padding': { input: [1, 3, 11, 6], filters: 4 },
  'uneven padding': {
    input: [2, 4, 5, 13],
    filters: 6,
    padding: [
      [2, 0],
      [1, 2],
    ],
  },
  'one window': { input: [1, 1, 3, 3], filters: 1 },
  'one element': { input: [1, 2, 1, 1], filters: 3, padding: one },
  'many channels': { input: [1, 260, 2, 3], filters: 125, padding: one },
  'many tiles': { input: [1, 5, 61, 35], filters: 7, padding: one },
  'many images': { input: [37, 3, 4, 3], filters: 5, padding: one },
}

function callOf(
  op: keyof typeof convolutionReferences,
  name: string,
  {
    input,
    filters,
    padding = [
      [0, 0],
      [0, 0],
    ],
  }: Case,
  change: object = {},
): KernelTestCall {
  const [batch, channels, ...extents] = input
  const filter = [filters, channels, 3, 3]
  const positions = extents.map((extent, i) => extent + padding[i]![0] + padding[i]![1] - 2)
  const output = [batch, filters, ...positions]
  const shapes = {
    convolution: [input, filter, output],
    convolutionBackwardInput: [output, filter, input],
    convolutionBackwardFilter: [input, output, filter],
  } as const
  const [first, second, result] = shapes[op]
  const terms = {
    convolution: 9 * channels,
    convolutionBackwardInput: 9 * filters,
    convolutionBackwardFilter: batch * sizeOf(positions),
  }
  const geometry = { stride: [1, 1], dilation: [1, 1], padding, groups: 1, ...change }
  const attributes = {
    convolution: geometry,
    convolutionBackwardInput: { ...geometry, extents },
    convolutionBackwardFilter: { ...geometry, window: [3, 3] },
  }
  return {
    name,
    scale: Math.sqrt(terms[op]),
    write: (program, random) => {
      const inputs = [first, second].map((shape) => program.input('f32', shape))
      program.call(op, attributes[op] as never, inputs, [program.output('f32', result)])
      return [first, second].map((shape) => randomStorage(random, 'f32', sizeOf(shape)))
    },
  }
}

/** Shapes drawn at random, the same at every run: images, channels, filters and extents of any size, padding from 0 to 2 on each side. */
function randomCases(count: number, seed: number): Record<string, Case> {
  const random = createRandom(seed)
  const upTo = (most: number) => random.integer(1, most)
  const drawn = Array.from({ length: count }, (): [string, Case] => {
    const padding = [0, 1].map(() => [random.integer(0, 2), random.integer(0, 2)] as const) as unknown as typeof one
    const extents = padding.map(([low, high]) => Math.max(upTo(21), 3 - low - high)) as [number, number]
    const input = [upTo(4), upTo(80), ...extents] as const
    const filters = upTo(40)
    return [`${input.join(' × ')}, ${filters} filters, padding ${padding.join(' and ')}`, { input, filters, padding }]
  })
  return Object.fromEntries(drawn)
}

/** Large enough for several threads to share it. */
const shared: Record<string, Case> = {
  'many rows': { input: [1, 24, 7, 6], filters: 130, padding: one },
  'many tiles': { input: [2, 16, 22, 17], filters: 12, padding: one },
}

const backend = (variant: Variant, threads: number) => wasm({ variant, threads }).backends![0] as Backend<'wasm'>
const pick = (...names: string[]) => Object.fromEntries(names.map((name) => [name, cases[name]!]))
const backends: [string, Backend<'wasm'>, Record<string, Case>][] = [
  ['plain', backend('plain', 1), { ...pick('odd extents', 'uneven padding', 'one element'), ...randomCases(2, 11) }],
  ['relaxed', backend('relaxed', 1), cases],
  ['relaxed, random shapes', backend('relaxed', 1), randomCases(3, 12)],
  ['relaxed, three threads', backend('relaxed', 3), shared],
  // Right everywhere, if slow where V8 does not make 256-bit instructions of it.
  ['wide', backend('wide', 1), { ...pick('odd extents', 'many channels', 'many images'), ...randomCases(3, 13) }],
  ['wide, two threads', backend('wide', 2), { ...shared, ...randomCases(1, 14) }],
]

describe.each(backends)('%s', (_, backend, taken) => {
  for (const kernel of [
    winogradF2,
    winogradF4,
    winogradF2BackwardInput,
    winogradF4BackwardInput,
    winogradF2BackwardFilter,
    winogradF4BackwardFilter,
  ]) {
    testKernel({
      kernel: kernel as Kernel<typeof kernel.op, 'wasm'>,
      backend,
      reference: convolutionReferences[kernel.op] as Kernel<typeof kernel.op, 'reference'>,
      run: { describe, it },
      calls: Object.entries(taken).map(([name, entry]) => callOf(kernel.op, name, entry)),
      refuses: [
        callOf(kernel.op, 'dilation', { input: [1, 2, 9, 9], filters: 2, padding: one }, { dilation: [2, 1] }),
        callOf(kernel.op, 'groups', { input: [1, 2, 9, 9], filters: 2 }, { groups: 2 }),
        callOf(kernel.op, 'no image', { input: [0, 2, 9, 9], filters: 2 }),
      ],
    })
  }
})
