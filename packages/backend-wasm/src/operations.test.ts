import { collectCoverage, opTests, testOp } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { wasmFormats } from './fused/operations.ts'
import { wasmKernels } from './kernels/index.ts'
import { threaded } from './testing/backends.ts'
import { wasm } from './wasm.ts'

const f64 = 'computed on the host by the reference kernels, as `run/host-fallback.test.ts` tests'
const run = { describe, it }
const relaxed = collectCoverage({
  backend: 'wasm',
  suite: 'relaxed, one thread',
  gaps: { f64, 'second gradient': 'their differences need f64; they are graphs of the same ops' },
})
const values = 'graphs of the same ops, tested on the relaxed variant with one thread'
const gaps = {
  f64,
  'u32, i8, u8, bool, f16, bf16': 'converted by the same code in every variant; `testBackend` runs them all',
  'vmap, gradient, second gradient': values,
}
const plain = collectCoverage({ backend: 'wasm', suite: 'plain, one thread', gaps })
const shared = collectCoverage({
  backend: 'wasm',
  suite: 'relaxed, three threads that share even the smallest calls',
  gaps,
})

describe('ops, relaxed', () =>
  testOp({
    ops: opTests,
    use: [wasm({ variant: 'relaxed', threads: 1 })],
    run,
    formats: wasmFormats,
    onCovered: relaxed.add,
  }))

describe('ops, plain', () =>
  testOp({
    ops: opTests,
    use: [wasm({ variant: 'plain', threads: 1 })],
    run,
    formats: ['f32', 'i32'],
    extent: 'values',
    drawn: 3,
    seed: 2,
    onCovered: plain.add,
  }))

describe('ops, three threads', () =>
  testOp({
    ops: opTests,
    use: [{ name: 'wasm', apiVersion: 1, backends: [threaded('relaxed', 3)], kernels: wasmKernels }],
    run,
    formats: ['f32', 'i32'],
    extent: 'values',
    drawn: 3,
    seed: 3,
    onCovered: shared.add,
  }))

describe('coverage', () => {
  for (const [name, coverage] of Object.entries({ wasm: relaxed, 'wasm-plain': plain, 'wasm-threads': shared }))
    it(`of ${name} is what is published`, async () => {
      await expect(coverage.format()).toMatchFileSnapshot(`../../../docs/coverage/${name}.json`)
    })
})
