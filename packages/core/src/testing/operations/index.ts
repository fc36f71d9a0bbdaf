import type { OpTest } from './op-test.ts'
import { activationTests } from './tables/activations.ts'
import { decompositionTests } from './tables/decompositions.ts'
import { elementwiseTests } from './tables/elementwise.ts'
import { indexingTests } from './tables/indexing.ts'
import { linearAlgebraTests } from './tables/linear-algebra.ts'
import { movementTests } from './tables/movement.ts'
import { networkTests } from './tables/networks.ts'
import { reductionTests } from './tables/reductions.ts'
import { sequenceTests } from './tables/sequences.ts'

/** The tests of core's ops, by topic. */
export const opTests: readonly OpTest[] = [
  ...elementwiseTests,
  ...activationTests,
  ...reductionTests,
  ...sequenceTests,
  ...movementTests,
  ...indexingTests,
  ...linearAlgebraTests,
  ...decompositionTests,
  ...networkTests,
]

export { untestedOps } from './untested.ts'
