import { describe, it } from 'vitest'
import { opTests } from './index.ts'
import { testOp } from './test-op.ts'

describe('reference', () => testOp({ ops: opTests, run: { describe, it } }))
describe('reference, one call for each op', () =>
  testOp({ ops: opTests, run: { describe, it }, fuse: false, formats: ['f32'] }))
