import type { Kernel, OpCall, Operand } from '@tessera/core'
import { hasAdjacentRows, sizeOf } from '@tessera/core'
import { mergeAxes } from '../fused/axes.ts'
import type { WasmArgument, WasmCallPlan, WasmFunction, WasmTarget } from '../program/contract.ts'
import { backwardFunction } from './attention/backward.ts'
import { gradientParts } from './attention/backward-group.ts'
import { encodeDescriptor, mostBatchAxes, type OperandName, type OperandSteps } from './attention/descriptor.ts'
import { fewFunction, fewQueries } from './attention/few.ts'
import { forwardFunction } from './attention/forward.ts'
import { farthest, frameTemplate, groupQueries } from './attention/frame.ts'
import { matmulTuning } from './matmul/index.ts'

/** The operands of a call by name. */
type Operands = { readonly [Name in OperandName]?: Operand } & Record<'query' | 'key' | 'value', Operand>

interface Problem {
  readonly operands: Operands
  readonly position: number | undefined
  readonly causal: boolean
  readonly scale: number
}

function forwardProblem({ inputs, outputs, attributes }: OpCall<'attention'>): Problem | undefined {
  const [query, key, value] = inputs
  const [output, logarithm] = outputs
  if (!query || !key || !value || !output || !logarithm || inputs.length !== (attributes.offset ? 4 : 3))
    return undefined
  const position = attributes.offset ? 3 : undefined
  return { operands: { query, key, value, output, logarithm }, position, ...attributes }
}

function backwardProblem({ inputs, outputs, attributes }: OpCall<'attentionBackward'>): Problem | undefined {
  const [query, key, value] = inputs
  const [logarithm, projection, gradient] = inputs.slice(-3)
  const [queryGradient, keyGradient, valueGradient] = outputs
  if (!query || !key || !value || !logarithm || !projection || !gradient) return undefined
  if (!queryGradient || !keyGradient || !valueGradient || inputs.length !== (attributes.offset ? 7 : 6))
    return undefined
  const operands = { query, key, value, logarithm, projection, gradient, queryGradient, keyGradient, valueGradient }
  return { operands, position: attributes.offset ? 3 : undefined, ...attributes }
}

/** Batch axes joined where every operand walks through them in one stride. */
function batchAxes(operands: readonly Operand[]): { readonly extent: number; readonly strides: readonly number[] }[] {
  return mergeAxes(
    operands[0]!.view.shape
      .slice(0, -2)
      .flatMap((extent, axis) =>
        extent === 1 ? [] : [{ extent, strides: operands.map(({ view }) => view.strides[axis]!) }],
      ),
  )
}

/** True for operands that the functions can address, with at least one of everything, where every query sees a key. */
function isAddressable(call: OpCall, { operands, position, causal }: Problem): boolean {
  const { query, key } = operands
  const rows = Object.entries(operands).filter(([name]) => name !== 'logarithm' && name !== 'projection')
  const list = Object.values(operands)
  return (
    list.every(({ dtype, view }) => dtype === 'f32' && sizeOf(view.shape) > 0) &&
    rows.every(([, { view }]) => view.shape.length >= 2 && hasAdjacentRows(view)) &&
    (position === undefined ? true : call.inputs[position]?.dtype === 'i32') &&
    (!causal || position !== undefined || query.view.shape.at(-2)! <= key.view.shape.at(-2)!) &&
    batchAxes(list).length <= mostBatchAxes
  )
}

/** Share of the scores that are computed. */
function visibleShare({ operands: { query, key }, position, causal }: Problem): number {
  const [queries, keys] = [query.view.shape.at(-2)!, key.view.shape.at(-2)!]
  return causal && position === undefined ? 1 - (queries - 1) / (2 * keys) : 1
}

/** Multiply–adds of one product with the scores of all heads. */
function scoreWork(problem: Problem): number {
  const { query, key } = problem.operands
  return sizeOf(query.view.shape.slice(0, -1)) * key.view.shape.at(-2)! * visibleShare(problem)
}

/** Attention that keeps no matrix of scores. */
export const attentionKernel: Kernel<'attention', 'wasm'> = {
  name: 'wasm-attention',
  op: 'attention',
  backend: 'wasm',
  tolerance: 2e-6,
  layouts: 'rows',
  cost(call, { gigaflops, microsecondsPerCall }) {
    const problem = forwardProblem(call)
    if (!problem || !isAddressable(call, problem)) return undefined
    const { query, value } = problem.operands
    const widths = query.view.shape.at(-1)! + value.view.shape.at(-1)! + 8
    return microsecondsPerCall + (2 * scoreWork(problem) * widths) / (1000 * gigaflops)
  },
  build: (call) => (target) => planForward(forwardProblem(call)!, target),
}

/** The backward pass of `attentionKernel`. */
export const attentionBackwardKernel: Kernel<'attentionBackward', 'wasm'> = {
  name: 'wasm-attention-backward',
  op: 'attentionBackward',
  backend: 'wasm',
  tolerance: 4e-6,
  layouts: 'rows',
  cost(call, { gigaflops, microsecondsPerCall }) {
    const problem = backwardProblem(call)
    if (!problem || !isAddressable(call, problem)) return undefined
    const { query, value } = problem.operands
    const widths = 3 * query.view.shape.at(-1)! + 2 * value.view.shape.at(-1)! + 8
    return microsecondsPerCall + (2 * scoreWork(problem) * widths) / (1000 * gigaflops)
  },
  build: (call) => (target) => planBackward(backwardProblem(call)!, target),
}

function describe(problem: Problem, target: WasmTarget, pass: 'forward' | 'backward') {
  const { operands, position, causal, scale } = problem
  const { query, key, value } = operands
  const [queries, keys] = [query.view.shape.at(-2)!, key.view.shape.at(-2)!]
  const entries = Object.entries(operands) as [OperandName, Operand][]
  const axes = batchAxes(entries.map(([, operand]) => operand))
  const steps = entries.map(([name, { view }], i): [OperandName, OperandSteps] => {
    const row = view.strides.at(name === 'logarithm' || name === 'projection' ? -1 : -2)!
    return [name, { row: 4 * row, batch: axes.map(({ strides }) => 4 * strides[i]!) }]
  })
  const { words, threadBytes } = frameTemplate(
    { width: query.view.shape.at(-1)!, valueWidth: value.view.shape.at(-1)!, scale },
    matmulTuning(target.variant),
    pass,
  )
  const groups = Math.ceil(queries / groupQueries)
  const heads = axes.reduce((product, { extent }) => product * extent, 1)
  const sizes = {
    queries,
    keys,
    groups,
    ranges: Math.ceil(keys / sharedRangeKeys),
    rangeKeys: sharedRangeKeys,
    position: keys - queries,
    hasPosition: position === undefined ? 0 : 1,
    highest: causal ? 0 : farthest,
    heads,
    batch1: axes.at(-2)?.extent ?? 1,
    batch2: axes.at(-1)?.extent ?? 1,
  }
  return { data: encodeDescriptor(words, sizes, Object.fromEntries(steps)), threadBytes, heads }
}

/** Where heads do not suffice for all threads, each range of keys and each group of queries is a share. */
const sharedRangeKeys = 192

function planForward(problem: Problem, target: WasmTarget): WasmCallPlan {
  const { data, threadBytes } = describe(problem, target, 'forward')
  const few = problem.operands.query.view.shape.at(-2)! <= fewQueries
  return {
    steps: [
      {
        function: (few ? fewFunction : forwardFunction) as unknown as WasmFunction,
        arguments: [
          { kind: 'data' },
          ...[0, 1, 2].map((index): WasmArgument => ({ kind: 'input', index })),
          positionArgument(problem),
          ...[0, 1].map((index): WasmArgument => ({ kind: 'output', index })),
          { kind: 'threadScratch' },
          { kind: 'thread' },
          { kind: 'threads' },
        ],
      },
    ],
    data,
    threadScratchBytes: threadBytes,
  }
}

function planBackward(problem: Problem, target: WasmTarget): WasmCallPlan {
  const { data, threadBytes, heads } = describe(problem, target, 'backward')
  const first = problem.position === undefined ? 3 : 4
  const step = (parts: number) => ({
    function: backwardFunction as unknown as WasmFunction,
    arguments: [
      { kind: 'data' },
      ...[0, 1, 2].map((index): WasmArgument => ({ kind: 'input', index })),
      positionArgument(problem),
      ...[0, 1, 2].map((index): WasmArgument => ({ kind: 'input', index: first + index })),
      ...[0, 1, 2].map((index): WasmArgument => ({ kind: 'output', index })),
      { kind: 'i32', value: parts },
      { kind: 'threadScratch' },
      { kind: 'thread' },
      { kind: 'threads' },
    ] as const,
  })
  const { queries, keysAndValues } = gradientParts
  // All at once saves computing the weights twice, if the threads get about equal shares of the heads.
  const rounds = Math.ceil(heads / target.threads)
  const together = (rounds * target.threads) / heads <= 1.4
  const steps = together ? [step(queries + keysAndValues)] : [step(keysAndValues), step(queries)]
  return { steps, data, threadScratchBytes: threadBytes }
}

const positionArgument = ({ position }: Problem): WasmArgument =>
  position === undefined ? { kind: 'i32', value: 0 } : { kind: 'input', index: position }
