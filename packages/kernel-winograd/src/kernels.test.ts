import type { Variant } from '@tessera/backend-wasm'
import { wasm } from '@tessera/backend-wasm'
import type { Backend, Kernel, OpName } from '@tessera/core'
import { convolutionReferences, testKernel } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { winogradF2, winogradF2BackwardInput, winogradF4, winogradF4BackwardInput } from './convolution.ts'
import { winogradF2BackwardFilter, winogradF4BackwardFilter } from './filter-gradient.ts'
import { type Case, callOf, cases, followed, one, optimised, pick, randomCases, refused } from './testing/cases.ts'

/** Large enough for several threads to share it. */
const shared: Record<string, Case> = {
  'many rows': { input: [1, 24, 7, 6], filters: 130, padding: one },
  'many tiles': { input: [2, 4, 62, 37], filters: 26, padding: one },
}

const backend = (variant: Variant, threads: number) => wasm({ variant, threads }).backends![0] as Backend<'wasm'>

/** A kernel as it is built where the filters are constants, and so transformed before the products, however few tiles there are. */
function withConstantFilters<Op extends OpName>(kernel: Kernel<Op, 'wasm'>): Kernel<Op, 'wasm'> {
  const build: typeof kernel.build = (call, limits) => {
    const inputs = call.inputs.map((input, i) => (i === 1 ? { ...input, isConstant: true as const } : input))
    return kernel.build({ ...call, inputs }, limits)
  }
  return { ...kernel, build }
}

interface Taken {
  readonly backend: Backend<'wasm'>
  readonly cases: Record<string, Case>
  /** Those that an epilogue follows. */
  readonly followed: Record<string, Case>
  /** Those whose filters are constants. */
  readonly constant?: Record<string, Case>
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
    followed: pick('odd extents', 'uneven padding', 'one element', 'many tiles', 'many images', 'many channels'),
    constant: pick('odd extents', 'uneven padding', 'many channels'),
  },
  'relaxed, three threads': { backend: backend('relaxed', 3), cases: shared, followed: shared },
  wide: {
    backend: optimised(backend('wide', 1)),
    cases: { ...pick('odd extents', 'many channels', 'many images'), ...randomCases(2, 13) },
    followed: pick('tiles that fit', 'many channels'),
    constant: pick('many channels'),
  },
  'wide, two threads': { backend: optimised(backend('wide', 2)), cases: shared, followed: randomCases(1, 14) },
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
    const tested = kernel as Kernel<typeof kernel.op, 'wasm'>
    const shared = {
      backend,
      reference: convolutionReferences[kernel.op] as Kernel<typeof kernel.op, 'reference'>,
      run: { describe, it },
    }
    testKernel({
      ...shared,
      kernel: tested,
      calls: [
        ...Object.entries(taken.cases).map(([name, entry]) => callOf(kernel.op, name, entry)),
        ...followed(kernel.op, taken.followed),
      ],
      refuses: refused(kernel.op),
    })
    const constant = taken.constant ?? {}
    if (kernel.op === 'convolutionBackwardFilter' || Object.keys(constant).length === 0) continue
    testKernel({
      ...shared,
      kernel: withConstantFilters(tested),
      calls: [
        ...Object.entries(constant).map(([name, entry]) => callOf(kernel.op, `${name}, constant filters`, entry)),
        ...followed(kernel.op, constant),
      ],
    })
  }
})
