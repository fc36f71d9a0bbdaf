import { tangents } from '../autodiff/tangent.ts'
import { repeat } from '../batching/batch.ts'
import { TesseraError } from '../errors.ts'
import { binary, cast, outputOf, reduce, reshape, zerosLike } from '../graph/build.ts'
import { isFloat } from '../graph/format.ts'
import { createNode, type Node } from '../graph/node.ts'
import { Subgraph, specOf } from '../graph/subgraph.ts'
import type { OpDefinition } from '../plugin/contract.ts'
import { select } from './cond.ts'
import { batchFunction, subgraph } from './functions.ts'

/** A loop whose number of steps is known only when it runs. */
export const whileLoop: OpDefinition<'whileLoop'> = {
  op: 'whileLoop',
  shape: (_, { body }) => body.outputs.map(specOf),
  vjp: () => {
    throw new TesseraError(
      'NO_GRADIENT',
      'whileLoop: has no gradient, since the values of all steps would have to be kept and their number is not known. Use scan or ' +
        'forLoop with a fixed number of steps, jvp, or stopGradient on what goes in.',
    )
  },
  jvp: ({ inputs, outputs, tangents: directions, attributes: { condition, body, carries } }) => {
    const moving = inputs.flatMap(({ dtype }, i) => (isFloat(dtype) && (i < carries || directions[i]) ? [i] : []))
    const ofCarries = moving.filter((i) => i < carries)
    const ofShared = moving.filter((i) => i >= carries)
    const specs = [
      ...body.parameters.slice(0, carries),
      ...ofCarries.map((i) => body.parameters[i]!),
      ...body.parameters.slice(carries),
      ...ofShared.map((i) => body.parameters[i]!),
    ]
    const valuesOf = (parameters: readonly Node[]) => [
      ...parameters.slice(0, carries),
      ...parameters.slice(carries + ofCarries.length, parameters.length - ofShared.length),
    ]
    const together = subgraph(specs, (parameters) => {
      const values = valuesOf(parameters)
      const applied = body.apply(values)
      const directionsOf = [
        ...parameters.slice(carries, carries + ofCarries.length),
        ...parameters.slice(parameters.length - ofShared.length),
      ]
      const moved = tangents(
        applied,
        moving.map((i) => values[i]!),
        directionsOf,
      )
      return [...applied, ...ofCarries.map((i) => moved[i] ?? zerosLike(applied[i]!))]
    })
    const node = createNode(
      whileLoop,
      [
        ...inputs.slice(0, carries),
        ...ofCarries.map((i) => directions[i] ?? zerosLike(inputs[i]!)),
        ...inputs.slice(carries),
        ...ofShared.map((i) => directions[i]!),
      ],
      {
        condition: subgraph(specs, (parameters) => condition.apply(valuesOf(parameters))),
        body: together,
        carries: carries + ofCarries.length,
      },
    )
    return outputs.map((_, i) => (ofCarries.includes(i) ? outputOf(node, carries + ofCarries.indexOf(i)) : undefined))
  },
  // All examples run until the last one is done; those that are done keep their values.
  batch: ({ inputs, batched, size, attributes: { condition, body, carries } }) => {
    const flags = [...batched]
    let isSplit = batchFunction(condition, flags, size, () => false).batched[0]!
    for (let changed = true; changed; ) {
      changed = false
      const together = batchFunction(body, flags, size, () => false)
      for (let i = 0; i < carries; i++) {
        if (flags[i] || !(isSplit || together.batched[i])) continue
        flags[i] = true
        changed = true
      }
      isSplit = batchFunction(condition, flags, size, () => false).batched[0]!
      if (isSplit && flags.slice(0, carries).includes(false)) changed = true
    }
    const operands = inputs.map((input, i) => (flags[i] && !batched[i] ? repeat(input, size) : input))
    const ofCondition = batchFunction(condition, flags, size, () => isSplit).body
    const ofBody = batchFunction(body, flags, size, (output) => flags[output]!).body
    const attributes = isSplit
      ? { condition: someOf(ofCondition), body: keepDone(ofBody, ofCondition), carries }
      : { condition: ofCondition, body: ofBody, carries }
    const node = createNode(whileLoop, operands, attributes)
    return node.outputs.map((_, i) => (flags[i] ? outputOf(node, i) : repeat(outputOf(node, i), size)))
  },
}

/** Whether the condition holds for any example. */
function someOf(condition: Subgraph): Subgraph {
  const any = reduce('reduceMaximum', cast(condition.outputs[0]!, 'i32'))
  return new Subgraph(condition.parameters, [reshape(binary('notEqual', any, 0), [])])
}

function keepDone(body: Subgraph, condition: Subgraph): Subgraph {
  const [goesOn] = condition.apply(body.parameters)
  const outputs = body.outputs.map((output, i) => select(goesOn!, output, body.parameters[i]!))
  return new Subgraph(body.parameters, outputs)
}
