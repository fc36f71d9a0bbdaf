import { leaf } from '../graph/build.ts'
import type { Node } from '../graph/node.ts'
import { Subgraph, substitute } from '../graph/subgraph.ts'
import { setLeafValue } from '../run/storage.ts'
import { Tensor } from './tensor.ts'
import { mapTensors, tensorList } from './tree.ts'

let depth = 0

/** Runs a function whose ops a transform records. Functions made by `jit` are then part of the recording. */
export function recording<Result>(body: () => Result): Result {
  depth++
  try {
    return body()
  } finally {
    depth--
  }
}

export const isRecording = (): boolean => depth > 0

/** A leaf that stands for an argument whose value is not known yet. */
export function standIn({ shape, dtype }: Pick<Node, 'shape' | 'dtype'>, index: number): Node {
  const node = leaf(shape, dtype)
  setLeafValue(node, { kind: 'argument', index })
  return node
}

/** A function as a closed graph. */
export interface Recorded<Result> {
  /** Parameters: one for each tensor of the arguments, then one for each of `captured`. */
  readonly body: Subgraph
  /** What the function uses from outside. */
  readonly captured: readonly Node[]
  readonly result: Result
}

/**
 * Records a function. Tensors in arrays and plain objects of the arguments are its parameters; all others that it uses, those of
 * modules too, are captured.
 */
export function record<Arguments extends readonly unknown[], Result>(
  body: (...args: Arguments) => Result,
  args: Arguments,
): Recorded<Result> {
  const parameters: Node[] = []
  const start = standIn({ shape: [], dtype: 'f32' }, 0).id
  const own = mapTensors(args, (tensor) => {
    parameters.push(standIn(tensor, parameters.length))
    return new Tensor(parameters.at(-1)!)
  })
  const result = recording(() => body(...own))
  const outputs = tensorList(result).map((tensor) => tensor.node)
  const captured = capturedBy(outputs, new Set(parameters), start)
  const stands = captured.map((node, i) => standIn(node, parameters.length + i))
  const closed = substitute(outputs, new Map(captured.map((node, i) => [node, stands[i]!])))
  return { body: new Subgraph([...parameters, ...stands], closed), captured, result }
}

/** What was there before a recording began, and data made during it: all leaves but the parameters. */
function capturedBy(outputs: readonly Node[], parameters: ReadonlySet<Node>, start: number): Node[] {
  const seen = new Set<Node>()
  const captured: Node[] = []
  const stack = [...outputs]
  while (stack.length > 0) {
    const node = stack.pop()!
    if (seen.has(node) || parameters.has(node)) continue
    seen.add(node)
    // A constant from before may be a parameter that has not been trained yet.
    if (node.id < start || node.op === 'leaf') captured.push(node)
    else if (isConstant(node)) continue
    else stack.push(...node.inputs)
  }
  return captured.sort((a, b) => a.id - b.id)
}

/** Constants in any shape are part of the function. */
function isConstant(node: Node): boolean {
  let source = node
  while (source.op === 'broadcast' || source.op === 'reshape') source = source.inputs[0]!
  return source.op === 'constant' || source.op === 'iota'
}
