import { wasm } from '@tessera/backend-wasm'
import { referencePlugin } from '@tessera/core'
import { testFormat } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { formats } from './testing/formats.ts'

const run = { describe, it }

describe.each([
  ['reference', () => [referencePlugin]],
  ['wasm', () => [wasm({ threads: 1 })]],
] as const)('on %s', (_, use) => {
  for (const options of formats) testFormat({ ...options, use: use(), run })
})
