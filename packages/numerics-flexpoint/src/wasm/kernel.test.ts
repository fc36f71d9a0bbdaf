import { setFlagsFromString } from 'node:v8'
import { type Variant, wasm } from '@tessera/backend-wasm'
import type { Backend, Kernel } from '@tessera/core'
import { type KernelTestCall, randomStorage, testKernel } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { exactProducts } from '../testing/exact-products.ts'
import { integerMatmulKernel } from './kernel.ts'
import type { MantissaFormat } from './pack.ts'

/** Sums in big integers, of which the low 32 bits are kept. */
const reference: Kernel<'integerMatmul', 'reference'> = {
  name: 'testing/integer-matmul',
  op: 'integerMatmul',
  backend: 'reference',
  tolerance: 0,
  layouts: 'any',
  cost: () => 1,
  build:
    ({ inputs: [a, b], outputs: [c] }) =>
    ([left, right], [target]) =>
      exactProducts([a!.view, b!.view, c!.view], left!, right!, target!),
}

type Sizes = readonly [batch: readonly number[], rows: number, inner: number, columns: number]

const callOf = (
  [batch, rows, inner, columns]: Sizes,
  [a, b]: readonly [MantissaFormat, MantissaFormat] = ['i8', 'i8'],
  only?: number,
): KernelTestCall => ({
  name: `${a} [${[...batch, rows, inner]}] × ${b} [${[...batch, inner, columns]}]${only === undefined ? '' : `, all ${only}`}`,
  write: (program, random) => {
    const shapes = [
      [...batch, rows, inner],
      [...batch, inner, columns],
    ]
    const operands = [program.input(a, shapes[0]!), program.input(b, shapes[1]!)]
    program.call('integerMatmul', {}, operands, [program.output('i32', [...batch, rows, columns])])
    return shapes.map((shape, i) => {
      const values = randomStorage(
        random,
        [a, b][i]!,
        shape.reduce((product, extent) => product * extent, 1),
      )
      return only === undefined ? values : values.fill(only as never)
    })
  },
})

const few: readonly KernelTestCall[] = [
  callOf([[], 1, 1, 1]),
  callOf([[], 5, 8, 16]),
  callOf([[], 13, 19, 37]),
  callOf([[], 6, 33, 17], ['i16', 'i8']),
  callOf([[2, 3], 11, 7, 9], ['i16', 'i16']),
  callOf([[], 7, 50, 33], ['i8', 'i8'], -128),
  callOf([[], 6, 9, 17], ['i16', 'i16'], -32768),
]
const many: readonly KernelTestCall[] = [
  ...few,
  callOf([[], 1, 300, 5]),
  callOf([[3], 4, 1, 8], ['i8', 'i16']),
  callOf([[2], 67, 130, 141]),
  callOf([[], 40, 4099, 9]),
]
const shared = [callOf([[], 161, 120, 290]), callOf([[3], 60, 61, 150], ['i16', 'i8'])]

const backend = (variant: Variant, threads: number) => wasm({ variant, threads }).backends![0] as Backend<'wasm'>
/** The revectoriser works in optimised code only. */
const optimised = (given: Backend<'wasm'>): Backend<'wasm'> => ({
  ...given,
  open: async () => {
    const device = await given.open()
    setFlagsFromString('--no-liftoff')
    return device
  },
})

const cases: Record<string, readonly [Backend<'wasm'>, readonly KernelTestCall[]]> = {
  plain: [backend('plain', 1), few],
  relaxed: [backend('relaxed', 1), many],
  'relaxed, three threads': [backend('relaxed', 3), shared],
  wide: [optimised(backend('wide', 1)), many],
  'wide, two threads': [backend('wide', 2), shared],
}

describe.each(Object.entries(cases))('%s', (_, [backend, calls]) => {
  testKernel({
    kernel: integerMatmulKernel,
    backend,
    reference,
    calls,
    refuses: [callOf([[], 0, 3, 4]), callOf([[], 2, 0, 4]), callOf([[0], 2, 3, 4])],
    run: { describe, it },
  })
})
