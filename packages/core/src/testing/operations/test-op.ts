import type { DType } from '../../graph/format.ts'
import type { Plugin } from '../../plugin/contract.ts'
import { createRuntime, type Runtime } from '../../run/runtime.ts'
import type { TestRunner } from '../context.ts'
import { createRandom, type Random, seedFor } from '../random.ts'
import type { OpCoverage } from './coverage.ts'
import { checkGradients, checkSecondGradients } from './differences.ts'
import type { OpTest } from './op-test.ts'
import { checkProperty } from './property.ts'
import { checkBatches, checkValues, type Trial } from './values.ts'

export interface OpTestOptions {
  readonly ops: readonly OpTest[]
  /** The plugins of the runtime that is tested; without any, the reference backend. */
  readonly use?: readonly Plugin[]
  readonly run: TestRunner
  /** Formats that the backend computes with; the others are left out. All of core's by default. */
  readonly formats?: readonly DType[]
  /** False tests with one call for each op. */
  readonly fuse?: boolean
  /** `values` leaves out `vmap` and gradients, `one` also all but one case for each op and format. */
  readonly extent?: 'all' | 'values' | 'one'
  /** How many cases of random shapes, layouts and contents each op gets in its first format; others get a third. 6 by default. */
  readonly drawn?: number
  /** Numbers below 2^-126 are kept, not flushed to zero. True by default. */
  readonly denormals?: boolean
  readonly seed?: number
  /** Told of each check that passed. */
  readonly onCovered?: (covered: OpCoverage) => void
}

/**
 * Declares the tests of ops on one backend: values of every format against the float64 reference, traced and not, one by one and by `vmap`,
 * gradients against central differences of the reference, and, where the backend has f64, second gradients against differences of the first.
 * Each is checked for the cases of the table, and for cases with shapes, attributes, memory layouts and contents drawn at random: what fails
 * there is reported in its simplest form, with the seed that draws it again.
 *
 * @example
 * ```ts sketch
 * import { opTests, testOp } from '@tessera/core/testing'
 * import { describe, it } from 'vitest'
 *
 * testOp({ ops: opTests, use: [myBackend()], run: { describe, it }, formats: ['f32', 'i32', 'u32', 'bool'] })
 * ```
 */
export function testOp(options: OpTestOptions): void {
  const { ops, use, run, formats, fuse = true, seed = 1, onCovered } = options
  let shared: Promise<Runtime> | undefined
  const open = (): Promise<Runtime> => {
    shared ??= createRuntime({ fuse, ...(use && { use }) })
    return shared
  }
  const has = (dtype: DType) => !formats || formats.includes(dtype)
  for (const op of ops.filter(({ formats }) => formats.some(has))) {
    run.describe(op.op, () => {
      for (const { check, format, test } of checksOf(op, op.formats.filter(has), options)) {
        const name = check === 'vmap' ? 'by vmap as one by one' : `${check} in ${format}`
        run.it(name, async () => {
          const runtime = await open()
          runtime.makeCurrent()
          try {
            const passed = await test(createRandom(seedFor(`${op.op} ${name}`, seed)))
            onCovered?.({ op: op.op, format, check, ...passed })
          } catch (error) {
            const message = error instanceof Error ? error.message : String(error)
            throw new Error(`${op.op}, ${name}, ${message} (seed ${seed})`, { cause: error })
          }
        })
      }
    })
  }
  run.describe('runtime', () => {
    run.it('closes', async () => (await open()).close())
  })
}

interface Check {
  readonly check: OpCoverage['check']
  readonly format: DType
  readonly test: (random: Random) => Promise<Pick<OpCoverage, 'cases' | 'drawn'>>
}

function checksOf(op: OpTest, formats: readonly DType[], options: OpTestOptions): Check[] {
  const { extent = 'all', fuse = true, drawn = 6, denormals = true } = options
  const first = formats[0]!
  const share = (format: DType) => (format === first ? drawn : Math.ceil(drawn / 3))
  const of = (format: DType) => (trial: Trial) => trial.test.formats?.includes(format) ?? true
  const table = op.cases.map((test): Trial => ({ test }))
  const checks = formats.map(
    (format): Check => ({
      check: 'values',
      format,
      test: async (random) => {
        const suited = table.filter(of(format))
        const trials = extent === 'one' ? suited.slice(-1) : suited
        await checkValues(op, format, trials, random, denormals)
        if (extent === 'one') return { cases: trials.length, drawn: 0 }
        const property = {
          op,
          suits: of(format),
          distinct: false,
          check: (some: readonly Trial[], own: Random) => checkValues(op, format, some, own, denormals),
        }
        return { cases: trials.length, drawn: await checkProperty(property, share(format), random) }
      },
    }),
  )
  if (extent !== 'all') return checks
  if (fuse)
    checks.push({
      check: 'vmap',
      format: first,
      test: async (random) => {
        const suits = (trial: Trial) => of(first)(trial) && trial.test.operands.length > 0
        const trials = table.filter(suits)
        await checkBatches(op, first, trials, random, denormals)
        const property = {
          op,
          suits,
          distinct: true,
          check: (some: readonly Trial[], own: Random) => checkBatches(op, first, some, own, denormals),
        }
        return { cases: trials.length, drawn: await checkProperty(property, Math.ceil(drawn / 3), random) }
      },
    })
  if (op.gradient !== true) return checks
  const exact = formats.includes('f64')
  const suits = ({ test }: Trial) => test.differentiable !== false
  const trials = table.filter(suits)
  checks.push({
    check: 'gradient',
    format: exact ? 'f64' : 'f32',
    test: async (random) => {
      const check = (some: readonly Trial[], own: Random) => checkGradients(op, exact ? 'f64' : 'f32', some, own)
      await check(trials, random)
      const property = { op, suits, distinct: true, check }
      return { cases: trials.length, drawn: await checkProperty(property, Math.ceil(drawn / 3), random) }
    },
  })
  if (exact)
    checks.push({
      check: 'second gradient',
      format: 'f64',
      test: async (random) => {
        await checkSecondGradients(trials, random)
        const property = { op, suits, distinct: true, check: checkSecondGradients }
        return { cases: trials.length, drawn: await checkProperty(property, 1, random) }
      },
    })
  return checks
}
