import { collectCoverage, opTests, testOp } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { optimised } from './testing/backends.ts'
import { wasm } from './wasm.ts'

/** In a file of its own: the flag that wide vectors need is set before anything else compiles WebAssembly. */
const coverage = collectCoverage({
  backend: 'wasm',
  suite: 'wide, one thread',
  gaps: {
    f64: 'computed on the host by the reference kernels, as `run/host-fallback.test.ts` tests',
    'u32, i8, u8, bool, f16, bf16': 'converted by the same code in every variant; `testBackend` runs them all',
    'vmap, gradient, second gradient': 'graphs of the same ops, tested on the relaxed variant with one thread',
  },
})

const plugin = wasm({ variant: 'wide', threads: 1 })

describe('ops, wide', () =>
  testOp({
    ops: opTests,
    use: [{ ...plugin, backends: plugin.backends!.map(optimised) }],
    run: { describe, it },
    formats: ['f32', 'i32'],
    extent: 'values',
    drawn: 3,
    seed: 4,
    onCovered: coverage.add,
  }))

it('covers what is published', async () => {
  await expect(coverage.format()).toMatchFileSnapshot('../../../docs/coverage/wasm-wide.json')
})
