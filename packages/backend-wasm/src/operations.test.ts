import { opTests, testOp } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { wasm } from './wasm.ts'

/** Formats that generated code can load, compute and store. */
const formats = ['f32', 'i32', 'u32', 'i8', 'u8', 'bool'] as const

describe('ops, relaxed', () =>
  testOp({ ops: opTests, use: [wasm({ variant: 'relaxed', threads: 1 })], run: { describe, it }, formats }))
