import { setFlagsFromString } from 'node:v8'
import type { Backend, BackendName } from '@tessera/core'
import {
  convolutionCall,
  convolutionEpilogues,
  type convolutionReferences,
  createRandom,
  type KernelTestCall,
} from '@tessera/core/testing'

/** A backend whose programs only the optimising compiler makes: it alone joins vectors, and by itself it takes over after many runs only. */
export const optimised = <B extends BackendName>(backend: Backend<B>): Backend<B> => ({
  ...backend,
  open: async () => {
    const device = await backend.open()
    setFlagsFromString('--no-liftoff')
    return device
  },
})

/** A convolution of 3 × 3 filters. */
export interface Case {
  /** `[N, C, height, width]` */
  readonly input: readonly [number, number, number, number]
  readonly filters: number
  readonly padding?: readonly [readonly [number, number], readonly [number, number]]
}

export const one = [
  [1, 1],
  [1, 1],
] as const

/** Odd extents, edges of every kind, more channels and tiles than blocks have, and single elements. */
export const cases: Record<string, Case> = {
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
  'many tiles': { input: [2, 5, 61, 35], filters: 7, padding: one },
  'many images': { input: [37, 3, 4, 3], filters: 5, padding: one },
}

export const callOf = (
  op: keyof typeof convolutionReferences,
  name: string,
  { input, filters, padding }: Case,
  change = {},
) => convolutionCall(op, name, { input, filter: [filters, input[1], 3, 3], ...(padding && { padding }), ...change })

/** Calls with epilogues, by turns the first and the second one. */
export function followed(op: keyof typeof convolutionReferences, taken: Record<string, Case>): KernelTestCall[] {
  if (op === 'convolutionBackwardFilter') return []
  const epilogues = Object.entries(convolutionEpilogues)
  return Object.entries(taken).map(([name, { input, filters, padding }], i) => {
    const [after, epilogue] = epilogues[i % epilogues.length]!
    const shape = { input, filter: [filters, input[1], 3, 3], ...(padding && { padding }) }
    return convolutionCall(op, `${name}, then ${after}`, shape, epilogue)
  })
}

/** Shapes drawn at random, the same at every run: images, channels, filters and extents of any size, padding from 0 to 2 on each side. */
export function randomCases(count: number, seed: number): Record<string, Case> {
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

export const pick = (...names: string[]): Record<string, Case> =>
  Object.fromEntries(names.map((name) => [name, cases[name]!]))

/** Calls that no kernel of the package takes. */
export const refused = (op: keyof typeof convolutionReferences): KernelTestCall[] => [
  callOf(op, 'dilation', { input: [1, 2, 9, 9], filters: 2, padding: one }, { dilation: [2, 1] }),
  callOf(op, 'groups', { input: [1, 2, 9, 9], filters: 2 }, { groups: 2 }),
  callOf(op, 'no image', { input: [0, 2, 9, 9], filters: 2 }),
]
