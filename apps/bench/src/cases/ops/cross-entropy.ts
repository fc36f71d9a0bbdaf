import { tokenInput } from '../inputs.ts'
import { type OpDefinition, operand } from './definition.ts'
import { softmaxRow } from './softmax.ts'

/** Gradient of the summed cross-entropy with regard to the logits: softmax less the target. */
export const crossEntropyDefinition: OpDefinition<'cross-entropy'> = {
  inputs: ({ rows, classes }) => [
    operand([rows, classes], 31),
    { shape: [rows], values: tokenInput(rows, 32, classes) },
  ],
  work: ({ rows, classes }) => ({ flops: 4 * rows * classes, bytes: 8 * rows * classes }),
  expected({ rows, classes }, [logits, targets]) {
    const result = new Float64Array(rows * classes)
    for (let row = 0; row < rows; row++) {
      softmaxRow(logits!.values, row * classes, classes, result)
      result[row * classes + targets!.values[row]!]! -= 1
    }
    return result
  },
}
