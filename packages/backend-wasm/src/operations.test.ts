import { opTests, testOp } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { wasmFormats } from './fused/operations.ts'
import { wasm } from './wasm.ts'

describe('ops, relaxed', () =>
  testOp({
    ops: opTests,
    use: [wasm({ variant: 'relaxed', threads: 1 })],
    run: { describe, it },
    formats: wasmFormats,
  }))
