import { ShapeError } from '../../errors.ts'
import type { OpDefinition } from '../../plugin/contract.ts'
import {
  add,
  axisIndex,
  binary,
  cast,
  exp,
  gather,
  linearIndex,
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
import { sameShape, sizeOf } from '../shape.ts'
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
    const { largest, total, column, inRange } = crossEntropyParts(logits!, targets!)
    // One look-up for each row: a comparison with every class would cost as much as the exponentials.
    const classes = logits!.shape.at(-1)!
    const place = add(reshape(column, targets!.shape), multiply(linearIndex(targets!.shape), classes))
    const picked = reshape(gather(reshape(logits!, [sizeOf(logits!.shape)]), place, 0), column.shape)
    const loss = subtract(log(total), subtract(picked, largest))
    return [reshape(where(inRange, loss, Number.NaN), targets!.shape)]
  },
  vjp: ({ inputs: [logits, targets], cotangents: [gradient] }) => {
    const { exponentials, total, column } = crossEntropyParts(logits!, targets!)
    const isTarget = binary('equal', axisIndex(logits!.shape, lastAxis(logits!)), column)
    const probabilities = multiply(exponentials, reciprocal(total))
    const weight = reshape(gradient!, total.shape)
    return [multiply(subtract(probabilities, cast(isTarget, logits!.dtype)), weight), undefined]
  },
  batch: ({ attributes, spread }) => [createNode(crossEntropy, [spread(0), spread(1)], attributes)],
}

function crossEntropyParts(logits: Node, targets: Node) {
  const classes = logits.shape.at(-1)!
  const largest = stopGradient(maximumOf(logits, lastAxis(logits)))
  const exponentials = exp(subtract(logits, largest))
  const column = reshape(cast(targets, 'i32'), [...targets.shape, 1])
  const inRange = binary('and', binary('lessEqual', 0, column), binary('less', column, classes))
  return { largest, exponentials, total: sumLast(exponentials), column, inRange }
}
