import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import {
  axisIndex,
  binary,
  cast,
  exp,
  log,
  maximumOf,
  multiply,
  reciprocal,
  reshape,
  stopGradient,
  subtract,
  where,
} from '../build.ts'
import { createNode, formatSpec, type Node } from '../node.ts'
import type { Empty } from '../operations.ts'
import { sameShape } from '../shape.ts'
import { lastAxis, requireRow, sumLast } from './rows.ts'

/** Attributes of the ops in this file. */
export interface CrossEntropyAttributes {
  /** Inputs `logits [..., classes]`, `targets [...]` (i32 or u32); gives the loss of each target in nats, NaN for a target out of range. */
  crossEntropy: Empty
}

export const crossEntropy: OpDefinition<'crossEntropy'> = {
  op: 'crossEntropy',
  shape: ([logits, targets]) => {
    const row = requireRow('crossEntropy', logits)
    const integers = targets && (targets.dtype === 'i32' || targets.dtype === 'u32')
    if (!integers || !sameShape(targets.shape, row.shape.slice(0, -1))) {
      throw new ShapeError(
        `crossEntropy: targets must be integers of shape [${row.shape.slice(0, -1).join(', ')}] beside logits ${formatSpec(row)}, got ` +
          `${targets ? formatSpec(targets) : 'nothing'}.`,
      )
    }
    return [{ shape: targets.shape, dtype: row.dtype }]
  },
  lower: ([logits, targets]) => {
    const { shifted, total, isTarget, inRange } = crossEntropyParts(logits!, targets!)
    const picked = sumLast(where(isTarget, shifted, 0))
    return [reshape(where(inRange, subtract(log(total), picked), Number.NaN), targets!.shape)]
  },
  vjp: ({ inputs: [logits, targets], cotangents: [gradient] }) => {
    const { exponentials, total, isTarget } = crossEntropyParts(logits!, targets!)
    const probabilities = multiply(exponentials, reciprocal(total))
    const weight = reshape(gradient!, total.shape)
    return [multiply(subtract(probabilities, cast(isTarget, logits!.dtype)), weight), undefined]
  },
  batch: ({ attributes, spread }) => [createNode(crossEntropy, [spread(0), spread(1)], attributes)],
}

function crossEntropyParts(logits: Node, targets: Node) {
  const classes = logits.shape.at(-1)!
  const shifted = subtract(logits, stopGradient(maximumOf(logits, lastAxis(logits))))
  const exponentials = exp(shifted)
  const column = reshape(cast(targets, 'i32'), [...targets.shape, 1])
  const isTarget = binary('equal', axisIndex(logits.shape, lastAxis(logits)), column)
  const inRange = binary('and', binary('lessEqual', 0, column), binary('less', column, classes))
  return { shifted, exponentials, total: sumLast(exponentials), isTarget, inRange }
}
