import type { Plugin } from '../plugin/contract.ts'
import { createRuntime } from '../run/runtime.ts'
import { tensor } from '../tensor/create.ts'
import type { TensorFormat } from '../tensor/format-policy.ts'
import { concatenate } from '../tensor/movement.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { TestRunner } from './context.ts'
import { createRandom, seedFor } from './random.ts'

export interface FormatTestOptions {
  readonly format: TensorFormat
  /** Plugins with the backend to run on; the reference backend by default. */
  readonly use?: readonly Plugin[]
  /** Largest relative error of numbers whose magnitude is at least `finest` times the largest of their tensor. */
  readonly error: number
  /** By default 2^−4. */
  readonly finest?: number
  /** Magnitude below which errors are no longer relative, for formats with numbers of fewer bits near zero; 0 by default. */
  readonly smallest?: number
  readonly run: TestRunner
  readonly seed?: number
}

/**
 * Declares the tests of a number format: rounding keeps shapes, zeros and the order of numbers, rounds numbers of the format to
 * themselves and others within the stated error, treats signs alike, does not turn NaN into a number without its statistic showing it, and
 * gives the same state and numbers in every call.
 *
 * @example
 * ```ts
 * import type { Tensor } from '@tessera/core'
 * import { collectTests, failuresOf, testFormat } from '@tessera/core/testing'
 * const quarters = { name: 'quarters', bits: 8, round: (x: Tensor) => ({ value: x.multiply(4).round().divide(4) }) } as const
 * console.log(await failuresOf(collectTests((run) => testFormat({ format: quarters, error: 1, run })))) // []
 * ```
 */
export function testFormat({
  format,
  use = [],
  error,
  finest = 2 ** -4,
  smallest = 0,
  run,
  seed = 1,
}: FormatTestOptions): void {
  const onRuntime = (name: string, test: (random: () => number) => Promise<void>): void => {
    run.it(name, async () => {
      const runtime = await createRuntime({ use })
      const random = createRandom(seedFor(`${format.name} ${name}`, seed))
      try {
        await test(() => random.uniform(-1, 1))
      } finally {
        await runtime.close()
      }
    })
  }
  /** Values of a tensor in the format, with a state made for the tensor itself unless another is given. */
  const rounded = async (x: Tensor, state = stateOf(x)): Promise<number[]> => [
    ...(await format.round(x, state).value.data()),
  ]
  const stateOf = (x: Tensor): Tensor | undefined =>
    (format.stateSize ?? 0) > 0 ? format.initialize!(x).realize() : undefined
  const require = (holds: boolean, message: string): void => {
    if (!holds) throw new Error(`${format.name}: ${message}.`)
  }

  run.describe(`format ${format.name}`, () => {
    for (const shape of [[1], [33], [4, 7], [2, 3, 32], [5, 1]] as const) {
      const size = shape.reduce((product: number, extent) => product * extent, 1)
      onRuntime(`rounds [${shape.join(', ')}] within its error, and what it rounded to itself`, async (random) => {
        for (const scale of [2 ** -12, 1, 37.5]) {
          const values = Float32Array.from({ length: size }, () => scale * random())
          const x = tensor(values, shape)
          const state = stateOf(x)
          const once = await rounded(x, state)
          require(once.length === size, `gave ${once.length} numbers for ${size}`)
          const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
          for (const [i, value] of values.entries()) {
            const distance = Math.abs(once[i]! - value)
            const allowed = error * Math.max(Math.abs(value), finest * largest, smallest)
            require(distance <=
              allowed, `rounds ${value} to ${once[i]}, off by ${distance}, of a tensor up to ${largest}; ${allowed} is allowed`)
          }
          const twice = await rounded(tensor(Float32Array.from(once), shape), state)
          const changed = twice.findIndex((value, i) => value !== once[i])
          require(changed < 0, `rounds ${once[changed]} to ${twice[changed]}, though it holds it`)
          const again = await rounded(x, state)
          require(again.every((value, i) => value === once[i]), 'gives other numbers in a second call')
        }
      })
    }
    onRuntime('keeps the order of numbers, their signs and zeros', async (random) => {
      const values = Float32Array.from({ length: 30 }, random).sort()
      const all = Float32Array.from([...values, ...values.map((value) => -value), 0, -0])
      const result = await rounded(tensor(all))
      for (let i = 1; i < 30; i++) require(result[i - 1]! <= result[i]!, `rounds ${all[i - 1]} above ${all[i]}`)
      for (let i = 0; i < 30; i++)
        require(result[i]! === -result[30 + i]!, `rounds ${all[i]} and its negative differently`)
      require(result[60] === 0 && result[61] === 0, 'does not keep zero')
      const zeros = await rounded(tensor(new Float32Array(8)))
      require(zeros.every((value) => value === 0), 'does not keep a tensor of zeros')
    })
    onRuntime('does not hide NaN', async () => {
      const x = tensor(Float32Array.of(1, Number.NaN, 2, 0.5))
      const { value, statistic } = format.round(x, stateOf(tensor(Float32Array.of(1, 2, 2, 0.5))))
      const shown = (await value.data()).some((number) => Number.isNaN(number))
      const counted = statistic !== undefined && !Number.isFinite(await statistic.item())
      require(shown || counted, 'turns NaN into a number, and its statistic is finite')
    })
    if ((format.stateSize ?? 0) > 0) {
      onRuntime('updates states of their own size, one tensor as well as several', async (random) => {
        const tensors = [1, 1000, 1e-3].map((scale) =>
          tensor(Float32Array.from({ length: 16 }, () => scale * random())),
        )
        const states = tensors.map((x) => stateOf(x)!)
        const statistics = tensors.map((x, i) => format.round(x, states[i]).statistic!)
        const rows = (list: readonly Tensor[]) =>
          list.map((row) => row.unsqueeze(0)).reduce((all, row) => concatenate([all, row]))
        const together = format.update!(rows(states), rows(statistics.map((value) => value.reshape([])))) // [3, stateSize]
        require(together.shape.join() ===
          `3,${format.stateSize}`, `update gives [${together.shape.join(', ')}] for 3 tensors`)
        for (const [i, state] of states.entries()) {
          const alone = await format.update!(state.unsqueeze(0), statistics[i]!.reshape([1])).data()
          const row = await together.select(0, i).data()
          require([...row].every((value, at) =>
            Object.is(value, alone[at]),
          ), `update of tensor ${i} depends on the others`)
        }
      })
    }
  })
}
