import { describe, expect, it } from 'vitest'
import { opTests } from './index.ts'
import { testOp } from './test-op.ts'

const run = { describe, it }
// Other numbers than in every run: TESSERA_SEED draws others, TESSERA_DRAWN more of them.
const seed = Number(process.env.TESSERA_SEED ?? 1)
const drawn = Number(process.env.TESSERA_DRAWN ?? 8)

describe('reference', () => testOp({ ops: opTests, run, seed, drawn }))
describe('reference, one call for each op', () =>
  testOp({ ops: opTests, run, seed, drawn, fuse: false, formats: ['f32'] }))

it('has a property for every op', () => {
  expect(opTests.filter(({ property }) => !property).map(({ op }) => op)).toEqual([])
})
