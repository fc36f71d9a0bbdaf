import { opTests, testOp } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { softwareAdapters } from './testing/adapters.ts'

// Thousands of shaders: continuous integration tests a part of the ops, TESSERA_ALL_OPS=1 all of them in all formats.
const isWhole = process.env.TESSERA_ALL_OPS !== undefined
const ops = isWhole ? opTests : opTests.filter((_, i) => i % 20 === 0)
const formats = isWhole
  ? (['f32', 'i32', 'u32', 'i8', 'u8', 'bool', 'f16', 'bf16'] as const)
  : (['f32', 'i32'] as const)

for (const { name, plugin, isExpected } of softwareAdapters) {
  if (!isExpected || (name !== 'SwiftShader' && !isWhole)) continue
  describe(`ops on ${name}`, () => testOp({ ops, use: [plugin], run: { describe, it }, formats }))
}
