import { describe, expect, it } from 'vitest'
import { collectCoverage } from './coverage.ts'
import { opTests } from './index.ts'
import { testOp } from './test-op.ts'

const run = { describe, it }
// Other numbers than in every run: TESSERA_SEED draws others, TESSERA_DRAWN more of them.
const seed = Number(process.env.TESSERA_SEED ?? 1)
const drawn = Number(process.env.TESSERA_DRAWN ?? 6)

const coverage = collectCoverage({ backend: 'reference', suite: 'all checks in all formats', gaps: {} })
describe('reference', () => testOp({ ops: opTests, run, seed, drawn, onCovered: coverage.add }))
describe('reference, one call for each op', () =>
  testOp({ ops: opTests, run, seed, drawn, fuse: false, formats: ['f32'] }))

// A run with other numbers covers another count of cases.
it.skipIf(process.env.TESSERA_DRAWN || process.env.TESSERA_SEED)('covers what is published', async () => {
  await expect(coverage.format()).toMatchFileSnapshot('../../../../../docs/coverage/reference.json')
})

it('has a property for every op', () => {
  expect(opTests.filter(({ property }) => !property).map(({ op }) => op)).toEqual([])
})
