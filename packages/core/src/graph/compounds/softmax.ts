import type { OpDefinition } from '../../plugin/contract.ts'
import { exp, log, maximumOf, multiply, reciprocal, stopGradient, subtract } from '../build.ts'
import { createNode, type Node } from '../node.ts'
import type { Empty } from '../operations.ts'
import { lastAxis, requireRow, sumLast } from './rows.ts'

/** Attributes of the ops in this file. */
export interface SoftmaxAttributes {
  /** Over the last axis. */
  softmax: Empty
  logSoftmax: Empty
}

/** x − max of each row. The maximum only guards against overflow, so it carries no gradient. Rows of no elements have none. */
function shifted(x: Node): Node {
  return x.shape.at(-1) === 0 ? x : subtract(x, stopGradient(maximumOf(x, lastAxis(x))))
}

export const softmax: OpDefinition<'softmax'> = {
  op: 'softmax',
  shape: (inputs) => [requireRow('softmax', inputs[0])],
  lower: ([x]) => {
    const exponentials = exp(shifted(x!))
    return [multiply(exponentials, reciprocal(sumLast(exponentials)))]
  },
  vjp: ({ outputs: [y], cotangents: [gradient] }) => [
    multiply(y!, subtract(gradient!, sumLast(multiply(gradient!, y!)))),
  ],
  batch: ({ inputs, attributes }) => [createNode(softmax, inputs, attributes)],
}

export const logSoftmax: OpDefinition<'logSoftmax'> = {
  op: 'logSoftmax',
  shape: (inputs) => [requireRow('logSoftmax', inputs[0])],
  lower: ([x]) => {
    const below = shifted(x!)
    return [subtract(below, log(sumLast(exp(below))))]
  },
  vjp: ({ outputs: [y], cotangents: [gradient] }) => [subtract(gradient!, multiply(exp(y!), sumLast(gradient!)))],
  batch: ({ inputs, attributes }) => [createNode(logSoftmax, inputs, attributes)],
}
