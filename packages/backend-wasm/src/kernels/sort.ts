import { isRowMajor, type Kernel, type OpCall, sizeOf } from '@tessera/core'
import { type Expression, i32, type Local, select } from '../assembler/index.ts'
import type { WasmFunction } from '../program/contract.ts'

const parameters = {
  x: 'i32',
  y: 'i32',
  scratch: 'i32',
  rows: 'i32',
  length: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

/** Bits of a digit, and the counters of one pass. */
const digitBits = 8
const buckets = 2 ** digitBits
const counterBytes = 4 * buckets

/** Elements per microsecond of the four passes together. */
const elementsPerMicrosecond = 60

/**
 * Stable sorting of rows by their bits, the lowest digit first (LSD radix sort): four passes over keys whose unsigned order is that of the
 * numbers. A pass in which all keys have one digit is left out. Each row is sorted by one thread.
 */
export const argSortKernel: Kernel<'argSort', 'wasm'> = {
  name: 'wasm-radix-sort',
  op: 'argSort',
  backend: 'wasm',
  tolerance: 0,
  cost({ inputs: [x], outputs: [y] }, { microsecondsPerCall }) {
    if (!x || !y || !isRowMajor(x.view) || !isRowMajor(y.view)) return undefined
    if (x.dtype !== 'f32' && x.dtype !== 'i32' && x.dtype !== 'u32') return undefined
    const rows = sizeOf(x.view.shape.slice(0, -1))
    return microsecondsPerCall + (sizeOf(x.view.shape) + rows * 4 * buckets) / elementsPerMicrosecond
  },
  build: (call: OpCall<'argSort'>) => () => {
    const { shape } = call.inputs[0]!.view
    const length = shape.at(-1)!
    const rows = sizeOf(shape.slice(0, -1))
    if (rows === 0 || length === 0) return { steps: [] }
    return {
      steps: [
        {
          function: functionOf(call.inputs[0]!.dtype, call.attributes.descending),
          arguments: [
            { kind: 'input', index: 0 },
            { kind: 'output', index: 0 },
            { kind: 'threadScratch' },
            { kind: 'i32', value: rows },
            { kind: 'i32', value: length },
            { kind: 'thread' },
            { kind: 'threads' },
          ],
        },
      ],
      // Counters of the four digits, keys and positions twice.
      threadScratchBytes: 4 * counterBytes + 16 * length,
    }
  },
}

function functionOf(dtype: string, descending: boolean): WasmFunction<typeof parameters> {
  return {
    name: `tessera/arg-sort/${dtype}${descending ? '/descending' : ''}`,
    parameters,
    define: (module) =>
      module.function(
        `argSort ${dtype}`,
        parameters,
        'void',
        (fn, { x, y, scratch, rows, length, thread, threads }) => {
          const bytes = fn.local('i32', 'bytes', i32.shl(length, 2))
          const keys = fn.local('i32', 'keys', i32.add(scratch, 4 * counterBytes))
          const positions = fn.local('i32', 'positions', i32.add(keys, bytes))
          const end = fn.local('i32', 'end', i32.divU(i32.mul(rows, i32.add(thread, 1)), threads))
          fn.forRange(i32.divU(i32.mul(rows, thread), threads), end, 1, (row) => {
            const offset = fn.local('i32', 'offset', i32.mul(row, bytes))
            const source = fn.local('i32', 'source', i32.add(x, offset))
            const result = fn.local('i32', 'result', i32.add(y, offset))
            fn.memoryFill(scratch, 0, 4 * counterBytes)
            // Keys, their positions, and how often each digit occurs.
            fn.forRange(0, length, 1, (i) => {
              const at = fn.local('i32', 'at', i32.shl(i, 2))
              const bits = fn.local('i32', 'bits', i32.load(i32.add(source, at)))
              const key = fn.local('i32', 'key', keyOf(dtype, bits))
              if (descending) fn.set(key, i32.xor(key, -1))
              fn.store('i32', i32.add(keys, at), key)
              fn.store('i32', i32.add(positions, at), i)
              for (let pass = 0; pass < 4; pass++) {
                const counter = fn.local('i32', 'counter', counterOf(scratch, key, pass))
                fn.store('i32', counter, i32.add(i32.load(counter), 1))
              }
            })
            const from = {
              keys: fn.local('i32', 'fromKeys', keys),
              positions: fn.local('i32', 'fromPositions', positions),
            }
            const to = {
              keys: fn.local('i32', 'toKeys', i32.add(positions, bytes)),
              positions: fn.local('i32', 'toPositions', i32.add(i32.add(positions, bytes), bytes)),
            }
            for (let pass = 0; pass < 4; pass++) {
              const counted = i32.load(counterOf(scratch, i32.load(from.keys), pass))
              fn.if(i32.ne(counted, length), () => {
                const sum = fn.local('i32', 'sum', 0)
                const counters = fn.local('i32', 'counters', i32.add(scratch, pass * counterBytes))
                fn.forRange(0, counterBytes, 4, (at) => {
                  const counter = fn.local('i32', 'counter', i32.add(counters, at))
                  const count = fn.local('i32', 'count', i32.load(counter))
                  fn.store('i32', counter, sum)
                  fn.increment(sum, count)
                })
                fn.forRange(0, bytes, 4, (at) => {
                  const key = fn.local('i32', 'key', i32.load(i32.add(from.keys, at)))
                  const counter = fn.local('i32', 'counter', counterOf(scratch, key, pass))
                  const place = fn.local('i32', 'place', i32.load(counter))
                  fn.store('i32', counter, i32.add(place, 1))
                  fn.set(place, i32.shl(place, 2))
                  fn.store('i32', i32.add(to.keys, place), key)
                  fn.store('i32', i32.add(to.positions, place), i32.load(i32.add(from.positions, at)))
                })
                swap(from.keys, to.keys)
                swap(from.positions, to.positions)
              })
            }
            fn.memoryCopy(result, from.positions, bytes)

            function swap(a: Local<'i32'>, b: Local<'i32'>): void {
              const kept = fn.local('i32', 'kept', a)
              fn.set(a, b)
              fn.set(b, kept)
            }
          })
        },
      ),
  }
}

/** Address of the counter of a key's digit. */
function counterOf(scratch: Expression<'i32'>, key: Expression<'i32'>, pass: number): Expression<'i32'> {
  const digit = i32.and(i32.shrU(key, digitBits * pass), buckets - 1)
  return i32.add(i32.add(scratch, pass * counterBytes), i32.shl(digit, 2))
}

/** Bits whose unsigned order is that of the numbers: NaN last, −0 as 0. */
function keyOf(dtype: string, bits: Local<'i32'>): Expression<'i32'> {
  if (dtype === 'u32') return bits
  const signBit = -0x80000000
  if (dtype === 'i32') return i32.xor(bits, signBit)
  const isNotNumber = i32.gtU(i32.and(bits, 0x7fffffff), 0x7f800000)
  const isZero = i32.eqz(i32.shl(bits, 1))
  // Negative numbers have all of their bits turned, others the sign only.
  const ordered = i32.xor(bits, i32.or(i32.shrS(bits, 31), signBit))
  return select(isNotNumber, i32.const(-1), select(isZero, i32.const(signBit), ordered))
}
