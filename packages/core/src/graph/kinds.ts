import type { Node } from './node.ts'
import type { ElementwiseName, MovementName, ReduceName } from './operations.ts'
import { binaryNames, reduceNames, unaryNames } from './primitives.ts'

const elementwise: ReadonlySet<string> = new Set<ElementwiseName>([
  ...unaryNames,
  ...binaryNames,
  'where',
  'cast',
  'bitcast',
])
const reductions: ReadonlySet<string> = new Set<ReduceName>(reduceNames)
const movements: ReadonlySet<string> = new Set<MovementName>(['reshape', 'permute', 'broadcast', 'slice'])

export const isElementwise = (node: Node): node is Node<ElementwiseName> => elementwise.has(node.op)
export const isReduction = (node: Node): node is Node<ReduceName> => reductions.has(node.op)
export const isMovement = (node: Node): node is Node<MovementName> => movements.has(node.op)
