import { collectCoverage, opTests, testOp } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { softwareAdapters } from './testing/adapters.ts'

// Software adapters take tens of milliseconds for a shader: continuous integration tests one case of each op and format, TESSERA_ALL_OPS=1 all.
const extent = process.env.TESSERA_ALL_OPS === undefined ? 'one' : 'all'
const formats = ['f32', 'i32', 'u32', 'i16', 'i8', 'u8', 'bool', 'f16', 'bf16'] as const

for (const { name, plugin, isExpected } of softwareAdapters) {
  if (!isExpected || (name !== 'SwiftShader' && extent === 'one')) continue
  const coverage = collectCoverage({
    backend: 'webgpu',
    suite: `one case of each op and format, on ${name} in Node`,
    gaps: {
      f64: 'computed on the host by the reference kernels, as `run/host-fallback.test.ts` tests',
      'vmap, gradient, second gradient':
        'graphs of the same ops; `TESSERA_ALL_OPS=1` tests them on a software adapter in minutes',
    },
  })
  describe(`ops on ${name}`, () =>
    testOp({
      ops: opTests,
      use: [plugin],
      run: { describe, it },
      formats,
      extent,
      denormals: false,
      onCovered: coverage.add,
    }))
  if (extent === 'one')
    it('covers what is published', async () => {
      await expect(coverage.format()).toMatchFileSnapshot('../../../docs/coverage/webgpu.json')
    })
}
