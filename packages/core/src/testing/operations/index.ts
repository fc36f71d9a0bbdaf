import type { OpTest } from './op-test.ts'
import { elementwiseTests } from './tables/elementwise.ts'

/** The tests of core's ops, by topic. */
export const opTests: readonly OpTest[] = [...elementwiseTests]
