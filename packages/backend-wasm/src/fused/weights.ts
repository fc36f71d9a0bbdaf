import type { LoweredBody, LoweredOp, Value } from './body.ts'

/** Vector instructions that an elementwise op takes, roughly, where it is more than one or two. */
const weights: Partial<Record<LoweredOp, number>> = {
  sign: 4,
  squareRoot: 4,
  reciprocal: 3,
  divide: 3,
  remainder: 40,
  power: 40,
  exp: 15,
  expm1: 25,
  log: 20,
  log1p: 25,
  sin: 20,
  cos: 20,
  tanh: 20,
  onePlusTanh: 20,
  erf: 30,
}

/** The weight of an op; ops on integers that have no vector instruction are heavy too. */
export function opWeight(op: LoweredOp, isFloat: boolean): number {
  if (!isFloat && (op === 'divide' || op === 'remainder')) return 30
  return weights[op] ?? 1
}

/** The weight of one value, given those that it is computed from. */
export function valueWeight(body: LoweredBody, value: Value): number {
  if (value.kind === 'load') return body.accesses[value.access]!.inner === 'gather' ? 5 : 1
  if (value.kind === 'iota') return 2
  if (value.kind === 'compute')
    return value.immediate !== undefined && value.op === 'power' ? 3 : opWeight(value.op, value.from === 'f32')
  return 0
}
