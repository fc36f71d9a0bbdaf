import { describe, it } from 'vitest'
import { opTests } from './index.ts'
import { testOp } from './test-op.ts'

describe('reference', () => testOp({ ops: opTests, run: { describe, it } }))
