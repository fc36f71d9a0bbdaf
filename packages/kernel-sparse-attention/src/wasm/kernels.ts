import type { WasmArgument, WasmCallPlan, WasmFunction, WasmTarget } from '@tessera/backend-wasm'
import { frameTemplate, gradientParts, groupQueries, matmulTuning } from '@tessera/backend-wasm/kernel'
import { hasAdjacentRows, type Kernel, type OpCall, type Operand } from '@tessera/core'
import { type PatternPasses, passesOf } from '../groups/groups.ts'
import { runsByPosition } from '../groups/positions.ts'
import { meanPairs } from '../groups/work.ts'
import type { SparseAttentionAttributes } from '../op.ts'
import type { SparsePattern } from '../patterns/pattern.ts'
import { backwardFunction } from './backward.ts'
import { cachedFunction } from './cached.ts'
import { encodeDescriptor, type OperandName, type OperandSteps } from './descriptor.ts'
import { forwardFunction } from './forward.ts'

type Operands = { readonly [Name in OperandName]?: Operand } & Record<'query' | 'key' | 'value', Operand>

/** Operands without a width of their own: one number for each query. */
const isColumn = (name: string): boolean => name === 'logarithm' || name === 'projection'

/** Names the operands of a call in order; `undefined` where their number is another. */
function named(call: OpCall, inputs: readonly OperandName[], outputs: readonly OperandName[]): Operands | undefined {
  const names = [...inputs, ...outputs]
  const list = [...call.inputs.slice(0, inputs.length), ...call.outputs]
  if (list.length !== names.length) return undefined
  return Object.fromEntries(names.map((name, i) => [name, list[i]!])) as unknown as Operands
}

/** The axes before the heads as one, with the stride of each operand; `undefined` where no single stride walks through them. */
function joinedBatch(
  operands: readonly (readonly [string, Operand])[],
): { extent: number; strides: number[] } | undefined {
  const axesOf = ([name, { view }]: readonly [string, Operand]) => {
    const end = isColumn(name) ? -2 : -3
    return view.shape.slice(0, end).map((extent, axis) => ({ extent, stride: view.strides[axis]! }))
  }
  const all = operands.map(axesOf)
  const kept = all[0]!.flatMap(({ extent }, axis) => (extent === 1 ? [] : [axis]))
  for (let i = 1; i < kept.length; i++) {
    const joins = all.every((axes) => axes[kept[i - 1]!]!.stride === axes[kept[i]!]!.stride * axes[kept[i]!]!.extent)
    if (!joins) return undefined
  }
  const last = kept.at(-1)
  return {
    extent: kept.reduce((product, axis) => product * all[0]![axis]!.extent, 1),
    strides: all.map((axes) => (last === undefined ? 0 : axes[last]!.stride)),
  }
}

function isAddressable(operands: Operands): boolean {
  const entries = Object.entries(operands)
  const holdsFloats = entries.every(
    ([, { dtype, view }]) => dtype === 'f32' && view.shape.every((extent) => extent > 0),
  )
  const hasRows = entries.every(
    ([name, { view }]) => view.shape.length >= (isColumn(name) ? 2 : 3) && (isColumn(name) || hasAdjacentRows(view)),
  )
  return holdsFloats && hasRows && joinedBatch(entries) !== undefined
}

/** Multiply–adds of one product with the scores of all heads. */
function scoreWork({ query, key }: Operands, { patterns }: SparseAttentionAttributes): number {
  const length = key.view.shape.at(-2)!
  const heads = query.view.shape.slice(0, -2).reduce((product, extent) => product * extent, 1)
  // A query over a cache sees about as much as the mean of all positions.
  return (heads * meanPairs(patterns, length) * query.view.shape.at(-2)!) / length
}

function describe(
  operands: Operands,
  { patterns, scale }: SparseAttentionAttributes,
  target: WasmTarget,
  pass: 'forward' | 'backward',
  passes: (pattern: SparsePattern, length: number) => PatternPasses,
) {
  const { query, key, value } = operands
  const length = key.view.shape.at(-2)!
  const entries = Object.entries(operands) as [OperandName, Operand][]
  const batch = joinedBatch(entries)!
  const steps = entries.map(([name, { view }], i): [OperandName, OperandSteps] => {
    const [head, row] = view.strides.slice(isColumn(name) ? -2 : -3) as [number, number]
    return [name, { batch: 4 * batch.strides[i]!, head: 4 * head, row: 4 * row }]
  })
  const { words, threadBytes } = frameTemplate(
    { width: query.view.shape.at(-1)!, valueWidth: value.view.shape.at(-1)!, scale },
    matmulTuning(target.variant),
    pass,
  )
  const heads = query.view.shape.at(-3)!
  const rangeKeys = Math.max(groupQueries, Math.ceil(length / 16))
  const sizes = {
    batches: batch.extent,
    heads,
    queries: query.view.shape.at(-2)!,
    length,
    ranges: Math.ceil(length / rangeKeys),
    rangeKeys,
  }
  const tables = patterns.map((pattern) => passes(pattern, length))
  const data = encodeDescriptor(words, sizes, Object.fromEntries(steps), tables)
  const passCount = Math.max(...tables.map((table) => table.length))
  return { data, threadBytes, passCount, heads: batch.extent * heads }
}

const inGroups = (pattern: SparsePattern, length: number): PatternPasses => passesOf(pattern, length, groupQueries)
const byPosition = (pattern: SparsePattern, length: number): PatternPasses => [
  runsByPosition(pattern, length).map((runs, start) => ({ start, step: 1, count: 1, runs })),
]

const input = (index: number): WasmArgument => ({ kind: 'input', index })
const output = (index: number): WasmArgument => ({ kind: 'output', index })
const word = (value: number): WasmArgument => ({ kind: 'i32', value })
const own: readonly WasmArgument[] = [{ kind: 'threadScratch' }, { kind: 'thread' }, { kind: 'threads' }]

const forwardOperands = (call: OpCall) => named(call, ['query', 'key', 'value'], ['output', 'logarithm'])

const forwardKernel: Kernel<'sparseAttention', 'wasm'> = {
  name: 'sparse-attention/forward',
  op: 'sparseAttention',
  backend: 'wasm',
  tolerance: 2e-6,
  layouts: 'rows',
  cost: (call, { gigaflops, microsecondsPerCall }) => {
    const operands = forwardOperands(call)
    if (!operands || !isAddressable(operands)) return undefined
    const widths = operands.query.view.shape.at(-1)! + operands.value.view.shape.at(-1)! + 8
    return microsecondsPerCall + (2 * scoreWork(operands, call.attributes) * widths) / (700 * gigaflops)
  },
  build: (call) => (target) => {
    const { data, threadBytes, passCount } = describe(
      forwardOperands(call)!,
      call.attributes,
      target,
      'forward',
      inGroups,
    )
    const step = (pass: number) => ({
      function: forwardFunction as unknown as WasmFunction,
      arguments: [{ kind: 'data' } as const, word(pass), ...[0, 1, 2].map(input), ...[0, 1].map(output), ...own],
    })
    return { steps: Array.from({ length: passCount }, (_, pass) => step(pass)), data, threadScratchBytes: threadBytes }
  },
}

const backwardOperands = (call: OpCall) =>
  named(
    call,
    ['query', 'key', 'value', 'logarithm', 'projection', 'gradient'],
    ['queryGradient', 'keyGradient', 'valueGradient'],
  )

const backwardKernel: Kernel<'sparseAttentionBackward', 'wasm'> = {
  name: 'sparse-attention/backward',
  op: 'sparseAttentionBackward',
  backend: 'wasm',
  tolerance: 4e-6,
  layouts: 'rows',
  cost: (call, { gigaflops, microsecondsPerCall }) => {
    const operands = backwardOperands(call)
    if (!operands || !isAddressable(operands)) return undefined
    const widths = 3 * operands.query.view.shape.at(-1)! + 2 * operands.value.view.shape.at(-1)! + 8
    return microsecondsPerCall + (2 * scoreWork(operands, call.attributes) * widths) / (700 * gigaflops)
  },
  build:
    (call) =>
    (target): WasmCallPlan => {
      const operands = backwardOperands(call)!
      const { data, threadBytes, passCount, heads } = describe(operands, call.attributes, target, 'backward', inGroups)
      const step = (parts: number, pass: number, passEnd: number) => ({
        function: backwardFunction as unknown as WasmFunction,
        arguments: [
          { kind: 'data' } as const,
          ...[0, 1, 2, 3, 4, 5].map(input),
          ...[0, 1, 2].map(output),
          ...[parts, pass, passEnd].map(word),
          ...own,
        ],
      })
      const { queries, keysAndValues } = gradientParts
      // All at once saves computing the weights twice, if the threads get about equal shares of the heads.
      const together = (Math.ceil(heads / target.threads) * target.threads) / heads <= 1.4
      const steps = together
        ? [step(queries + keysAndValues, 0, passCount)]
        : [
            step(keysAndValues, 0, passCount),
            ...Array.from({ length: passCount }, (_, pass) => step(queries, pass, pass + 1)),
          ]
      return { steps, data, threadScratchBytes: threadBytes }
    },
}

const cachedOperands = (call: OpCall) => named(call, ['query', 'key', 'value'], ['output'])

const cachedKernel: Kernel<'sparseAttentionCached', 'wasm'> = {
  name: 'sparse-attention/cached',
  op: 'sparseAttentionCached',
  backend: 'wasm',
  tolerance: 2e-6,
  layouts: 'rows',
  cost: (call, { gigabytesPerSecond, microsecondsPerCall }) => {
    const operands = cachedOperands(call)
    if (!operands || !isAddressable(operands) || call.inputs[3]?.dtype !== 'i32') return undefined
    const widths = operands.query.view.shape.at(-1)! + operands.value.view.shape.at(-1)!
    return microsecondsPerCall + (4 * scoreWork(operands, call.attributes) * widths) / (1000 * gigabytesPerSecond)
  },
  build: (call) => (target) => {
    const { data, threadBytes } = describe(cachedOperands(call)!, call.attributes, target, 'forward', byPosition)
    const step = {
      function: cachedFunction as unknown as WasmFunction,
      arguments: [{ kind: 'data' } as const, ...[0, 1, 2, 3].map(input), output(0), ...own],
    }
    return { steps: [step], data, threadScratchBytes: threadBytes }
  },
}

/** The kernels of sparse attention for the backend `wasm`. */
export const sparseAttentionKernels: readonly Kernel[] = [forwardKernel, backwardKernel, cachedKernel]
