import { add, gather, leaf, reshape, scatter, subtract } from '../graph/build.ts'
import type { Graph, Node } from '../graph/node.ts'
import type { OpAttributes } from '../graph/operations.ts'

/** One step of a loop as a graph: what it reads, what it gives, and which reads each result replaces. */
export interface LoopBody {
  readonly graph: Graph
  /** Leaves in the order: the index, carries, results, sequences, what is shared. */
  readonly parameters: readonly Node[]
}

/**
 * A step of a scan on whole tensors: reads its elements of the sequences, writes its elements of the results, and counts. So a device
 * runs the same program again and again on the same memory.
 */
export function scanBody({ body, length, carries, sequences, reverse }: OpAttributes['scan']): LoopBody {
  const counter = leaf([1], 'i32')
  const index = reverse ? subtract(length - 1, counter) : counter
  const whole = ({ shape, dtype }: Node) => leaf([length, ...shape], dtype)
  const state = body.parameters.slice(0, carries)
  const results = body.outputs.slice(carries).map(whole)
  const sources = body.parameters.slice(carries, carries + sequences).map(whole)
  const shared = body.parameters.slice(carries + sequences)
  const elements = sources.map((source) => reshape(gather(source, index, 0), source.shape.slice(1)))
  const outputs = body.apply([...state, ...elements, ...shared])
  const written = results.map((result, i) => {
    const element = outputs[carries + i]!
    return scatter(result, index, reshape(element, [1, ...element.shape]), 0, 'set')
  })
  return {
    graph: { outputs: [add(counter, 1), ...outputs.slice(0, carries), ...written] },
    parameters: [counter, ...state, ...results, ...sources, ...shared],
  }
}

/** A step of a loop with a condition, and the condition for the next one. */
export function whileBody({ body, condition, carries }: OpAttributes['whileLoop']): LoopBody {
  const [goesOn] = condition.apply([...body.outputs, ...body.parameters.slice(carries)])
  return { graph: { outputs: [...body.outputs, goesOn!] }, parameters: body.parameters }
}
