import { cond as condDefinition } from '../control/cond.ts'
import { makeScan } from '../control/scan.ts'
import { whileLoop as whileDefinition } from '../control/while-loop.ts'
import { ShapeError } from '../errors.ts'
import { outputOf } from '../graph/build.ts'
import { createNode, formatSpec, type Node, type TensorSpec } from '../graph/node.ts'
import { sameShape } from '../graph/shape.ts'
import { Subgraph } from '../graph/subgraph.ts'
import { range, zeros } from './create.ts'
import { type Recorded, record, standIn } from './record.ts'
import { Tensor } from './tensor.ts'
import { inOrderOf, mapTensors, tensorList } from './tree.ts'

export interface ScanOptions {
  /** Number of steps; needed only without sequences. */
  readonly length?: number
  /** From the last element to the first. */
  readonly reverse?: boolean
  /** Whether the steps are written out in the program; by default for short loops, where that is cheaper. */
  readonly unroll?: boolean
}

/**
 * A loop over the first axis of tensors: `body` takes the state and one element of each sequence, and gives the next state and
 * a result; results are stacked. State, elements and results are trees of tensors. The state keeps its shapes and formats.
 *
 * It has gradients of every kind, and the memory of the state is reused from step to step. For the gradient, each step keeps its
 * state and the results of its products and reductions; wrap the body in `checkpoint` to keep the state only.
 *
 * @returns the last state and the stacked results
 *
 * @example
 * ```ts
 * import { scan, tensor, type Tensor } from '@tessera/core'
 * const [total, sums] = scan(
 *   (sum: Tensor, x: Tensor) => [sum.add(x), sum.add(x)],
 *   tensor(0),
 *   tensor([1, 2, 3]),
 * )
 * console.log(await total.item(), await sums.data()) // 6, [1, 3, 6]
 * ```
 */
export function scan<State, Element, Result>(
  body: (state: State, element: Element) => readonly [State, Result],
  initial: State,
  sequences: Element,
  options: ScanOptions = {},
): [State, Result] {
  const xs = tensorList(sequences)
  const length = lengthOf(xs, options)
  const initials = tensorList(initial)
  const elements = mapTensors(sequences, (x) => standFor({ shape: x.shape.slice(1), dtype: x.dtype }))
  const recorded = record(
    (state: State, element: Element): readonly [State, Result] => {
      const [next, result] = body(state, element)
      return [inOrderOf(initial, next), result]
    },
    [initial, elements] as const,
  )
  const carries = initials.length
  requireState('scan', initials, tensorList(recorded.result[0]))
  const node = makeScan(nodesOf([...initials, ...xs], recorded), {
    body: recorded.body,
    length,
    carries,
    sequences: xs.length,
    reverse: options.reverse ?? false,
    ...(options.unroll !== undefined && { unroll: options.unroll }),
  })
  return fill(recorded.result, node) as [State, Result]
}

/**
 * `body(i, state)` for `i` from 0 (i32 scalar) to `count − 1`: a loop with a fixed number of steps, with gradients.
 *
 * @example
 * ```ts
 * import { forLoop, tensor, type Tensor } from '@tessera/core'
 * console.log(await forLoop(5, (_, x: Tensor) => x.multiply(2), tensor(1)).item()) // 32
 * ```
 */
export function forLoop<State>(
  count: number,
  body: (index: Tensor, state: State) => State,
  initial: State,
  options: Pick<ScanOptions, 'unroll'> = {},
): State {
  const [last] = scan(
    (state: State, index: Tensor) => [body(index, state), []] as const,
    initial,
    range(count),
    options,
  )
  return last
}

/**
 * Applies `body` as long as `condition` (a bool scalar) holds for the state. The number of steps may depend on data, so there is no
 * reverse-mode gradient; `jvp` and `vmap` work.
 *
 * @example
 * ```ts
 * import { tensor, type Tensor, whileLoop } from '@tessera/core'
 * const doubled = whileLoop((x: Tensor) => x.less(100), (x) => x.multiply(2), tensor(3))
 * console.log(await doubled.item()) // 192
 * ```
 */
export function whileLoop<State>(
  condition: (state: State) => Tensor,
  body: (state: State) => State,
  initial: State,
): State {
  const initials = tensorList(initial)
  const test = record(condition, [initial] as const)
  const step = record((state: State) => inOrderOf(initial, body(state)), [initial] as const)
  requirePredicate('whileLoop: the condition', test.body.outputs[0])
  requireState('whileLoop', initials, tensorList(step.result))
  const shared = union(test.captured, step.captured)
  const node = createNode(whileDefinition, [...initials.map((tensor) => tensor.node), ...shared], {
    condition: withCaptured(test, initials.length, shared),
    body: withCaptured(step, initials.length, shared),
    carries: initials.length,
  })
  return fill(step.result, node)
}

/**
 * One of two functions of the same operands, chosen by a bool scalar; only that one runs. Both give results of the same form. Under
 * `vmap` with a predicate for each example both run, and the results are selected.
 *
 * @example
 * ```ts
 * import { cond, tensor, type Tensor } from '@tessera/core'
 * const x = tensor(-3)
 * const root = cond(x.less(0), (x: Tensor) => x.negate().sqrt(), (x: Tensor) => x.sqrt(), x)
 * console.log((await root.item()).toFixed(3)) // 1.732
 * ```
 */
export function cond<Operands extends unknown[], Result>(
  predicate: Tensor,
  whenTrue: (...operands: Operands) => Result,
  whenFalse: (...operands: Operands) => Result,
  ...operands: Operands
): Result {
  requirePredicate('cond: the predicate', predicate)
  const first = record(whenTrue, operands)
  const second = record((...own: Operands) => inOrderOf(first.result, whenFalse(...own)), operands)
  const specs = (recorded: Recorded<unknown>) => recorded.body.outputs.map(formatSpec).join(', ')
  if (specs(first) !== specs(second)) {
    throw new ShapeError(
      `cond: both functions must give the same shapes and formats, got ${specs(first) || 'nothing'} and ${specs(second) || 'nothing'}.`,
    )
  }
  const tensors = tensorList(operands)
  const shared = union(first.captured, second.captured)
  const node = createNode(condDefinition, [predicate.node, ...tensors.map((tensor) => tensor.node), ...shared], {
    whenTrue: withCaptured(first, tensors.length, shared),
    whenFalse: withCaptured(second, tensors.length, shared),
  })
  return fill(first.result, node)
}

const standFor = ({ shape, dtype }: TensorSpec): Tensor => zeros(shape, dtype)

function lengthOf(sequences: readonly Tensor[], { length }: ScanOptions): number {
  const scalar = sequences.find((x) => x.rank === 0)
  if (scalar)
    throw new ShapeError(
      'scan: a sequence needs a first axis to run over, got a scalar. Pass it as part of the state, or use it from outside.',
    )
  const found = length ?? sequences[0]?.shape[0]
  if (found === undefined || !Number.isInteger(found) || found < 0)
    throw new ShapeError(`scan: the number of steps is ${String(found)}. Give a sequence, or options.length ≥ 0.`)
  const wrong = sequences.find((x) => x.shape[0] !== found)
  if (wrong)
    throw new ShapeError(`scan: runs ${found} steps, but a sequence is ${formatSpec(wrong)}. First axes must agree.`)
  return found
}

function requirePredicate(what: string, predicate: TensorSpec | undefined): void {
  if (predicate?.dtype === 'bool' && predicate.shape.length === 0) return
  throw new ShapeError(`${what} must be one bool of shape [], got ${predicate ? formatSpec(predicate) : 'nothing'}.`)
}

function requireState(op: string, before: readonly Tensor[], after: readonly Tensor[]): void {
  const same = (a: Tensor, b: Tensor | undefined) => b?.dtype === a.dtype && sameShape(a.shape, b.shape)
  if (before.length === after.length && before.every((tensor, i) => same(tensor, after[i]))) return
  throw new ShapeError(
    `${op}: the state must keep its shapes and formats, it goes in as ${before.map(formatSpec).join(', ') || 'nothing'} and comes out as ` +
      `${after.map(formatSpec).join(', ') || 'nothing'}.`,
  )
}

const nodesOf = (tensors: readonly Tensor[], { captured }: Recorded<unknown>): Node[] => [
  ...tensors.map((tensor) => tensor.node),
  ...captured,
]

const union = (a: readonly Node[], b: readonly Node[]): Node[] => [...new Set([...a, ...b])]

/** The recorded function with one parameter for each of `shared` after its own. */
function withCaptured({ body, captured }: Recorded<unknown>, own: number, shared: readonly Node[]): Subgraph {
  const parameters = shared.map((node) => {
    const at = captured.indexOf(node)
    return at < 0 ? standIn(node, 0) : body.parameters[own + at]!
  })
  return new Subgraph([...body.parameters.slice(0, own), ...parameters], body.outputs)
}

/** The tensors of a result, in order, as the outputs of a node. */
function fill<Result>(result: Result, node: Node): Result {
  let next = 0
  return mapTensors(result, () => new Tensor(outputOf(node, next++)))
}
