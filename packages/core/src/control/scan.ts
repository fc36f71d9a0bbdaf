import { gradients } from '../autodiff/gradient.ts'
import { tangents } from '../autodiff/tangent.ts'
import { repeat } from '../batching/batch.ts'
import { axisToFront } from '../batching/rules.ts'
import { add, concatenate, full, leaf, outputOf, reshape, slice, zerosLike } from '../graph/build.ts'
import { isFloat } from '../graph/format.ts'
import { isElementwise, isMovement } from '../graph/kinds.ts'
import { createNode, type Node, topologicalOrder } from '../graph/node.ts'
import type { OpAttributes } from '../graph/operations.ts'
import { Subgraph, specOf, substitute } from '../graph/subgraph.ts'
import type { JvpContext, OpDefinition, VjpContext } from '../plugin/contract.ts'
import { batchFunction, subgraph } from './functions.ts'

type ScanAttributes = OpAttributes['scan']

/** A loop with a known number of steps. Its definition writes the steps out. */
export const scan: OpDefinition<'scan'> = {
  op: 'scan',
  shape: (_, { body, length, carries }) =>
    body.outputs.map((output, i) =>
      i < carries ? specOf(output) : { ...specOf(output), shape: [length, ...output.shape] },
    ),
  lower: (inputs, { body, length, carries, sequences, reverse }) => {
    let state = inputs.slice(0, carries)
    const shared = inputs.slice(carries + sequences)
    const results: Node[][] = []
    for (let step = 0; step < length; step++) {
      const at = reverse ? length - 1 - step : step
      const elements = inputs.slice(carries, carries + sequences).map((sequence) => elementAt(sequence, at))
      const outputs = body.apply([...state, ...elements, ...shared])
      state = outputs.slice(0, carries)
      results.push(outputs.slice(carries))
    }
    if (reverse) results.reverse()
    const stacked = body.outputs.slice(carries).map((output, i) => {
      if (length === 0) return full([0, ...output.shape], 0, output.dtype)
      return concatenate(
        results.map((values) => reshape(values[i]!, [1, ...output.shape])),
        0,
      )
    })
    return [...state, ...stacked]
  },
  vjp: (context) => backward(context),
  jvp: (context) => forward(context),
  batch: ({ inputs, batched, size, attributes }) => {
    const { body, carries, sequences } = attributes
    const flags = [...batched]
    let together = batchFunction(body, flags, size, (output) => output < carries && flags[output]!)
    // A carry that becomes batched in the body is batched from the start.
    for (let missing = true; missing; ) {
      missing = false
      for (let i = 0; i < carries; i++) {
        if (!together.batched[i] || flags[i]) continue
        flags[i] = true
        missing = true
      }
      if (missing) together = batchFunction(body, flags, size, (output) => output < carries && flags[output]!)
    }
    const operands = inputs.map((input, i) => {
      if (i < carries) return flags[i] && !batched[i] ? repeat(input, size) : input
      return i < carries + sequences && batched[i] ? axisToFront(input, 1) : input
    })
    const node = createNode(scan, operands, { ...attributes, body: together.body })
    return node.outputs.map((_, i) => {
      const output = outputOf(node, i)
      if (!together.batched[i]) return repeat(output, size)
      return i < carries ? output : axisToFront(output, 1)
    })
  },
}

function elementAt(sequence: Node, index: number): Node {
  const starts = sequence.shape.map((_, axis) => (axis === 0 ? index : 0))
  const [, ...element] = sequence.shape
  return reshape(slice(sequence, starts, [1, ...element]), element)
}

/**
 * A scan whose results also hold, for each step, what its gradient would not want to compute again: the carries and the results of
 * products, reductions and whole ops. Results that nothing uses are dropped before the program is made.
 */
export function makeScan(inputs: readonly Node[], attributes: ScanAttributes): Node {
  const { body, carries, sequences } = attributes
  const varying = new Set(body.parameters.slice(0, carries + sequences))
  const saved: Node[] = [...body.parameters.slice(0, carries)]
  for (const node of topologicalOrder(body.outputs)) {
    if (varying.has(node) || !node.inputs.some((input) => varying.has(input))) continue
    varying.add(node)
    if (isWorthKeeping(node)) saved.push(node)
  }
  const known = new Set(body.outputs.slice(carries))
  const outputs = [...body.outputs, ...saved.filter((node) => !known.has(node))]
  return createNode(scan, inputs, { ...attributes, body: new Subgraph(body.parameters, outputs) })
}

function isWorthKeeping(node: Node): boolean {
  if (isElementwise(node) || isMovement(node) || node.outputs.length > 1) return false
  return !['randomBits', 'barrier', 'stopGradient', 'pad', 'concatenate'].includes(node.op)
}

/** The reverse scan over the gradients of the steps; what a step needs of the forward pass comes from the results that hold it. */
function backward({ inputs, outputs, cotangents, needs, attributes }: VjpContext<'scan'>): (Node | undefined)[] {
  const { body, length, carries, sequences, reverse } = attributes
  const { parameters } = body
  const isShared = (i: number) => i >= carries + sequences
  const wanted = parameters.map(({ dtype }, i) => isFloat(dtype) && (i < carries || needs[i] === true))
  const seeds = body.outputs.map((output, i) => {
    if (!isFloat(output.dtype)) return undefined
    return i < carries || cotangents[i] ? leaf(output.shape, output.dtype) : undefined
  })
  const targets = parameters.filter((_, i) => wanted[i])
  const found = gradients(body.outputs, seeds, targets)
  const gradientOf = (i: number): Node => {
    const parameter = parameters[i]!
    return found[targets.indexOf(parameter)] ?? zerosLike(parameter)
  }

  // State of the reverse scan: gradients of the carries, and sums of those of what is shared.
  const sums = parameters.map((parameter, i) =>
    isShared(i) && wanted[i] ? leaf(parameter.shape, parameter.dtype) : undefined,
  )
  const floatCarries = parameters.slice(0, carries).flatMap((_, i) => (wanted[i] ? [i] : []))
  const state = [...floatCarries.map((i) => seeds[i]!), ...sums.filter((sum) => sum !== undefined)]
  const nextState = [
    ...floatCarries.map(gradientOf),
    ...sums.flatMap((sum, i) => (sum ? [add(sum, gradientOf(i))] : [])),
  ]
  const toSequences = parameters.flatMap((_, i) => (i >= carries && !isShared(i) && wanted[i] ? [i] : []))

  // What is known of each step: elements of the sequences, and all results.
  const known = new Map<Node, Node>()
  for (let i = carries; i < carries + sequences; i++) known.set(parameters[i]!, inputs[i]!)
  body.outputs.forEach((node, i) => {
    if (i >= carries && !known.has(node) && !isShared(parameters.indexOf(node))) known.set(node, outputs[i]!)
  })
  const stands = new Map([...known.keys()].map((node) => [node, leaf(node.shape, node.dtype)]))
  const results = substitute([...nextState, ...toSequences.map(gradientOf)], stands)
  const reached = new Set(topologicalOrder(results))
  const used = [...known].filter(([node]) => reached.has(stands.get(node)!))
  const resultSeeds = seeds.flatMap((seed, i) => (seed && i >= carries ? [{ seed, sequence: cotangents[i]! }] : []))
  const shared = parameters.flatMap((node, i) =>
    isShared(i) && reached.has(node) ? [{ node, input: inputs[i]! }] : [],
  )

  const node = makeScan(
    [
      ...floatCarries.map((i) => cotangents[i] ?? zerosLike(inputs[i]!)),
      ...sums.flatMap((sum, i) => (sum ? [zerosLike(inputs[i]!)] : [])),
      ...resultSeeds.map(({ sequence }) => sequence),
      ...used.map(([, sequence]) => sequence),
      ...shared.map(({ input }) => input),
    ],
    {
      body: new Subgraph(
        [
          ...state,
          ...resultSeeds.map(({ seed }) => seed),
          ...used.map(([at]) => stands.get(at)!),
          ...shared.map((entry) => entry.node),
        ],
        results,
      ),
      length,
      carries: state.length,
      sequences: resultSeeds.length + used.length,
      reverse: !reverse,
      ...(attributes.unroll !== undefined && { unroll: attributes.unroll }),
    },
  )
  const toInputs = new Array<Node | undefined>(inputs.length)
  let next = 0
  for (const i of floatCarries) toInputs[i] = outputOf(node, next++)
  sums.forEach((sum, i) => {
    if (sum) toInputs[i] = outputOf(node, next++)
  })
  for (const i of toSequences) toInputs[i] = outputOf(node, next++)
  return toInputs
}

/** The scan of values and tangents together. */
function forward({ inputs, tangents: directions, attributes }: JvpContext<'scan'>): (Node | undefined)[] {
  const { body, carries, sequences } = attributes
  const moves = inputs.map(({ dtype }, i) => isFloat(dtype) && (i < carries || directions[i] !== undefined))
  const moving = inputs.flatMap((_, i) => (moves[i] ? [i] : []))
  const part = (from: number, to: number) => moving.filter((i) => i >= from && i < to)
  const [ofCarries, ofSequences, ofShared] = [
    part(0, carries),
    part(carries, carries + sequences),
    part(carries + sequences, inputs.length),
  ]
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
  const order = [
    ...range(0, carries).map((i) => ({ i, isTangent: false })),
    ...ofCarries.map((i) => ({ i, isTangent: true })),
    ...range(carries, carries + sequences).map((i) => ({ i, isTangent: false })),
    ...ofSequences.map((i) => ({ i, isTangent: true })),
    ...range(carries + sequences, inputs.length).map((i) => ({ i, isTangent: false })),
    ...ofShared.map((i) => ({ i, isTangent: true })),
  ]
  const floatResults = body.outputs.flatMap((output, i) => (i >= carries && isFloat(output.dtype) ? [i] : []))
  const together = subgraph(
    order.map(({ i }) => body.parameters[i]!),
    (parameters) => {
      const values = body.parameters.map(
        (_, i) => parameters[order.findIndex((entry) => entry.i === i && !entry.isTangent)]!,
      )
      const applied = body.apply(values)
      const moved = tangents(
        applied,
        moving.map((i) => values[i]!),
        moving.map((i) => parameters[order.findIndex((entry) => entry.i === i && entry.isTangent)]!),
      )
      const tangentOf = (i: number) => moved[i] ?? zerosLike(applied[i]!)
      return [
        ...applied.slice(0, carries),
        ...ofCarries.map(tangentOf),
        ...applied.slice(carries),
        ...floatResults.map(tangentOf),
      ]
    },
  )
  const node = makeScan(
    order.map(({ i, isTangent }) => (isTangent ? (directions[i] ?? zerosLike(inputs[i]!)) : inputs[i]!)),
    {
      ...attributes,
      body: together,
      carries: carries + ofCarries.length,
      sequences: sequences + ofSequences.length,
    },
  )
  const results = new Array<Node | undefined>(body.outputs.length)
  ofCarries.forEach((i, at) => {
    results[i] = outputOf(node, carries + at)
  })
  floatResults.forEach((i, at) => {
    results[i] = outputOf(node, body.outputs.length + ofCarries.length + at)
  })
  return results
}
