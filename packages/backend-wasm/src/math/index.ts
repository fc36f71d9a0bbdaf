/**
 * Emitters of vectorised elementary functions: each takes a context and a local that holds four floats and gives the expression of four
 * results. For the revectoriser, emit the function for two adjacent vectors and store both results 16 bytes apart.
 */

export type { MathContext, Vector } from './context.ts'
export { ConstantPool, keep, multiplyAdd, multiplySubtract, polynomial, selectLanes } from './context.ts'
export { exp, exp2, expm1 } from './exponential.ts'
export { decodeFiniteHalf, decodeHalf, decodeSignedHalf, encodeHalf, type HalfFormat, roundToHalf } from './half.ts'
export { log, log1p } from './logarithm.ts'
export { pow } from './power.ts'
export { erf, tanh } from './sigmoid-shaped.ts'
export { cos, sin } from './trigonometric.ts'
