import { wasm } from '@tessera/backend-wasm'
import { createRuntime } from '@tessera/core'
import { expect, it } from 'vitest'
import { policyOf } from '../formats/policy.ts'
import { lossChart, traceChart } from './charts.ts'
import { makeImages } from './data.ts'
import { type RunResult, run } from './run.ts'

it('trains alike in f32 and flex16+5, and draws what it saw', async () => {
  const runtime = await createRuntime({ use: [wasm({ threads: 1 })] })
  const data = makeImages(200)
  const options = { steps: 12, batch: 32, hidden: 16, learningRate: 0.02, seed: 1 }
  const runs: RunResult[] = []
  for (const format of ['f32', 'flex16+5']) runs.push(await run(data, { ...options, format }))
  const [plain, flex] = runs as [RunResult, RunResult]
  expect(plain.losses.at(-1)!).toBeLessThan(0.8 * plain.losses[0]!)
  for (const [i, loss] of plain.losses.entries()) expect(Math.abs(flex.losses[i]! - loss)).toBeLessThan(0.01)
  expect(flex.overflowShare).toBeLessThan(0.05)
  expect(flex.trace.map(({ tensor }) => tensor)).toEqual(
    Array.from({ length: 12 }, () => ['weights', 'activations', 'gradients']).flat(),
  )
  for (const { predicted, magnitude } of flex.trace.slice(9)) expect(predicted).toBeGreaterThan(magnitude)
  expect(await lossChart(runs)).toMatch(/^<svg/)
  expect(await traceChart(flex)).toContain('Autoflex in flex16+5')
  await runtime.close()
})

it('names the formats that there are', () => {
  expect(policyOf('f32')).toBeUndefined()
  expect(() => policyOf('flex')).toThrow(/no format 'flex'/)
})
