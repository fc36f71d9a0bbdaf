import type { Operator } from '../graph/call.ts'
import { elementwise } from './elementwise.ts'
import { movement } from './movement.ts'
import { network } from './network.ts'
import { recurrentOperators } from './recurrent.ts'
import { reductions } from './reductions.ts'

/** Runs one of its graphs; the condition must be known while the graph is recorded. */
const branch: Operator = (call) => {
  const [condition] = call.numbers(0, 'condition')
  return call.subgraph(condition ? 'then_branch' : 'else_branch').map((value) => value.constant ?? value.tensor)
}

/** The operators of ONNX's main domain that are supported. */
export const operators: Readonly<Record<string, Operator>> = {
  ...elementwise,
  ...movement,
  ...network,
  ...recurrentOperators,
  ...reductions,
  If: branch,
}

/** Their names, in order. */
export const supportedOperators: readonly string[] = Object.keys(operators).sort()
