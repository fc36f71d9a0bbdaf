import type { Variant } from '@tessera/backend-wasm'
import { wasm } from '@tessera/backend-wasm'
import type { Backend, Kernel } from '@tessera/core'
import {
  convolutionCall,
  convolutionEpilogues,
  convolutionReferences,
  createRandom,
  type KernelTestCall,
  testKernel,
} from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { winogradF2, winogradF2BackwardInput, winogradF4, winogradF4BackwardInput } from './convolution.ts'
import { winogradF2BackwardFilter, winogradF4BackwardFilter } from './filter-gradient.ts'

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

const callOf = (op: keyof typeof convolutionReferences, name: string, { input, filters, padding }: Case, change = {}) =>
  convolutionCall(op, name, { input, filter: [filters, input[1], 3, 3], ...(padding && { padding }), ...change })

/** Calls with epilogues, by turns the first and the second one. */
function followed(op: keyof typeof convolutionReferences, taken: Record<string, Case>): KernelTestCall[] {
  if (op === 'convolutionBackwardFilter') return []
  const epilogues = Object.entries(convolutionEpilogues)
  return Object.entries(taken).map(([name, { input, filters, padding }], i) => {
    const [after, epilogue] = epilogues[i % epilogues.length]!
    const shape = { input, filter: [filters, input[1], 3, 3], ...(padding && { padding }) }
    return convolutionCall(op, `${name}, then ${after}`, shape, epilogue)
  })
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
interface Taken {
  readonly backend: Backend<'wasm'>
  readonly cases: Record<string, Case>
  /** Those that an epilogue follows. */
  readonly followed: Record<string, Case>
}
const backends: Record<string, Taken> = {
  plain: {
    backend: backend('plain', 1),
    cases: { ...pick('odd extents', 'uneven padding', 'one element'), ...randomCases(2, 11) },
    followed: {},
  },
  relaxed: {
    backend: backend('relaxed', 1),
    cases: { ...cases, ...randomCases(2, 12) },
    followed: pick('odd extents', 'uneven padding', 'one element', 'many tiles', 'many images'),
  },
  'relaxed, three threads': { backend: backend('relaxed', 3), cases: shared, followed: shared },
  // Right everywhere, if slow where V8 does not make 256-bit instructions of it.
  wide: {
    backend: backend('wide', 1),
    cases: { ...pick('odd extents', 'many channels', 'many images'), ...randomCases(2, 13) },
    followed: pick('tiles that fit', 'many channels'),
  },
  'wide, two threads': { backend: backend('wide', 2), cases: shared, followed: randomCases(1, 14) },
}

describe.each(Object.entries(backends))('%s', (_, { backend, ...taken }) => {
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
      calls: [
        ...Object.entries(taken.cases).map(([name, entry]) => callOf(kernel.op, name, entry)),
        ...followed(kernel.op, taken.followed),
      ],
      refuses: [
        callOf(kernel.op, 'dilation', { input: [1, 2, 9, 9], filters: 2, padding: one }, { dilation: [2, 1] }),
        callOf(kernel.op, 'groups', { input: [1, 2, 9, 9], filters: 2 }, { groups: 2 }),
        callOf(kernel.op, 'no image', { input: [0, 2, 9, 9], filters: 2 }),
      ],
    })
  }
})
