import type { OpTest } from './op-test.ts'
import { indexingProperties } from './properties/indexing.ts'
import { linearAlgebraProperties } from './properties/linear-algebra.ts'
import { movementProperties } from './properties/movement.ts'
import { networkProperties } from './properties/networks.ts'
import { sequenceProperties } from './properties/sequences.ts'
import { activationTests } from './tables/activations.ts'
import { decompositionTests } from './tables/decompositions.ts'
import { elementwiseTests } from './tables/elementwise.ts'
import { imageTests } from './tables/images.ts'
import { indexingTests } from './tables/indexing.ts'
import { linearAlgebraTests } from './tables/linear-algebra.ts'
import { movementTests } from './tables/movement.ts'
import { networkTests } from './tables/networks.ts'
import { reductionTests } from './tables/reductions.ts'
import { sequenceTests } from './tables/sequences.ts'
import { singularValueTests } from './tables/singular-values.ts'
import { statisticTests } from './tables/statistics.ts'

/** Random cases of ops whose tables hold fixed ones only. */
const properties: Readonly<Record<string, NonNullable<OpTest['property']>>> = {
  ...sequenceProperties,
  ...movementProperties,
  ...indexingProperties,
  ...linearAlgebraProperties,
  ...networkProperties,
}

/** The tests of core's ops, by topic. */
export const opTests: readonly OpTest[] = [
  ...elementwiseTests,
  ...activationTests,
  ...reductionTests,
  ...statisticTests,
  ...sequenceTests,
  ...movementTests,
  ...indexingTests,
  ...linearAlgebraTests,
  ...decompositionTests,
  ...singularValueTests,
  ...networkTests,
  ...imageTests,
].map((test) => ({ ...(properties[test.op] && { property: properties[test.op]! }), ...test }))

export { untestedOps } from './untested.ts'
