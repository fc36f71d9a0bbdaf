import { isRowMajor, type Kernel, type OpAttributes, type OpCall, sizeOf } from '@tessera/core'
import { type Expression, f32, i32, select } from '../assembler/index.ts'
import type { WasmFunction } from '../program/contract.ts'

type Attributes = OpAttributes['cumulative']
type Lane = 'f32' | 'i32'

const parameters = { x: 'i32', y: 'i32', rows: 'i32', length: 'i32', thread: 'i32', threads: 'i32' } as const

/** Elements per microsecond: each waits for the one before it. */
const elementsPerMicrosecond = 700

/** Running sums, products, maxima and minima of rows: each row is gone through once, by one thread. */
export const cumulativeKernel: Kernel<'cumulative', 'wasm'> = {
  name: 'wasm-cumulative',
  op: 'cumulative',
  backend: 'wasm',
  tolerance: 1e-5,
  cost({ inputs: [x], outputs: [y] }, { microsecondsPerCall }) {
    if (!x || !y || !isRowMajor(x.view) || !isRowMajor(y.view) || laneOf(x.dtype) === undefined) return undefined
    return microsecondsPerCall + sizeOf(x.view.shape) / elementsPerMicrosecond
  },
  build: (call: OpCall<'cumulative'>) => () => {
    const { shape } = call.inputs[0]!.view
    const length = shape.at(-1)!
    const rows = sizeOf(shape.slice(0, -1))
    if (rows === 0 || length === 0) return { steps: [] }
    return {
      steps: [
        {
          function: functionOf(call.inputs[0]!.dtype, call.attributes),
          arguments: [
            { kind: 'input', index: 0 },
            { kind: 'output', index: 0 },
            { kind: 'i32', value: rows },
            { kind: 'i32', value: length },
            { kind: 'thread' },
            { kind: 'threads' },
          ],
        },
      ],
    }
  },
}

const laneOf = (dtype: string): Lane | undefined =>
  dtype === 'f32' ? 'f32' : dtype === 'i32' || dtype === 'u32' ? 'i32' : undefined

function functionOf(dtype: string, { operation, reverse }: Attributes): WasmFunction<typeof parameters> {
  const lane = laneOf(dtype)!
  // Sums and products of signed and unsigned integers are the same.
  const kind = lane === 'i32' && (operation === 'maximum' || operation === 'minimum') ? dtype : lane
  return {
    name: `tessera/cumulative/${kind}/${operation}${reverse ? '/reverse' : ''}`,
    parameters,
    define: (module) =>
      module.function(
        `cumulative ${kind} ${operation}`,
        parameters,
        'void',
        (fn, { x, y, rows, length, thread, threads }) => {
          const share = (part: Expression<'i32'>) => i32.divU(i32.mul(rows, part), threads)
          const end = fn.local('i32', 'end', share(i32.add(thread, 1)))
          const step = reverse ? -4 : 4
          fn.forRange(share(thread), end, 1, (row) => {
            const first = reverse ? i32.sub(i32.mul(i32.add(row, 1), length), 1) : i32.mul(row, length)
            const offset = fn.local('i32', 'offset', i32.shl(first, 2))
            const source = fn.local('i32', 'source', i32.add(x, offset))
            const target = fn.local('i32', 'target', i32.add(y, offset))
            if (lane === 'f32') {
              const state = fn.local('f32', 'state', f32.load(source))
              fn.store('f32', target, state)
              fn.repeat(i32.sub(length, 1), () => {
                fn.increment(source, step)
                fn.increment(target, step)
                fn.set(state, floatStep(operation, state, f32.load(source)))
                fn.store('f32', target, state)
              })
            } else {
              const state = fn.local('i32', 'state', i32.load(source))
              fn.store('i32', target, state)
              fn.repeat(i32.sub(length, 1), () => {
                fn.increment(source, step)
                fn.increment(target, step)
                const next = fn.local('i32', 'next', i32.load(source))
                fn.set(state, integerStep(operation, dtype === 'u32', state, next))
                fn.store('i32', target, state)
              })
            }
          })
        },
      ),
  }
}

function floatStep(operation: Attributes['operation'], state: Expression<'f32'>, next: Expression<'f32'>) {
  const steps = { sum: f32.add, product: f32.mul, maximum: f32.max, minimum: f32.min }
  return steps[operation](state, next)
}

function integerStep(
  operation: Attributes['operation'],
  unsigned: boolean,
  state: Expression<'i32'>,
  next: Expression<'i32'>,
): Expression<'i32'> {
  if (operation === 'sum') return i32.add(state, next)
  if (operation === 'product') return i32.mul(state, next)
  const [a, b] = operation === 'maximum' ? [next, state] : [state, next]
  return select(unsigned ? i32.ltU(b, a) : i32.ltS(b, a), next, state)
}
