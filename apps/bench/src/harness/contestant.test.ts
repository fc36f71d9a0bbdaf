import { afterEach, expect, it } from 'vitest'
import { gptStepFamily } from '../cases/gpt-step.ts'
import { matmulFamily } from '../cases/matmul.ts'
import { type FakeMode, fakeEntry } from '../testing/fake-entry.ts'
import { Contestant } from './contestant.ts'

const [benchmarkCase, nextCase] = matmulFamily.cases as [
  (typeof matmulFamily.cases)[number],
  (typeof matmulFamily.cases)[number],
]
const options = { warmUpMs: 0, sampleMs: 0.1, samples: 2, turnMs: 1000 }

let contestant: Contestant | undefined
afterEach(() => contestant?.close())

async function start(mode: FakeMode): Promise<Contestant> {
  const started = await Contestant.start(fakeEntry(mode), 1)
  if ('reason' in started) throw new Error(started.reason)
  contestant = started.contestant
  return contestant
}

it('times an implementation whose results are right', async () => {
  const { prepare, measure } = bind(await start('right'))
  expect(await prepare(benchmarkCase)).toBeUndefined()
  expect(await measure(options)).toEqual({ samplesMs: [expect.any(Number), expect.any(Number)] })
})

it.each([
  ['ignores-transposes', 'wrong result of matmul/check/TN: relative error 1.'],
  ['one-wrong-element', 'wrong result of matmul/check/NN: relative error '],
  ['wrong-when-large', 'wrong result of matmul/64/NN: relative error NaN'],
  ['throws', 'failed: no memory left'],
] as const)('does not time one that %s', async (mode, reason) => {
  const { prepare } = bind(await start(mode))
  expect(await prepare(benchmarkCase)).toContain(reason)
})

it('says so when an implementation has no such case', async () => {
  const { prepare } = bind(await start('right'))
  expect(await prepare(gptStepFamily.cases[0]!)).toBe('has no gpt-step')
})

it('starts a child again that died while it was timed', async () => {
  const { prepare, measure } = bind(await start('dies'))
  expect(await prepare(benchmarkCase)).toBeUndefined()
  expect(await measure(options)).toEqual({ reason: 'fake/dies ended with exit code 3' })
  expect(await prepare(nextCase)).toBeUndefined()
})

it('gives the reason of one that is not available, or has one thread only', async () => {
  expect(await Contestant.start(fakeEntry('unavailable'), 1)).toEqual({ reason: 'the fake is switched off' })
  const single = { ...fakeEntry('right'), singleThreaded: 'it counts on one finger' }
  expect(await Contestant.start(single, 2)).toEqual({ reason: 'it counts on one finger' })
})

function bind(target: Contestant): Pick<Contestant, 'prepare' | 'measure'> {
  return { prepare: (benchmark) => target.prepare(benchmark), measure: (request) => target.measure(request) }
}
