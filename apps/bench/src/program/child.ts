/** Entry of a child process: `node --expose-gc child.ts REQUEST` measures one training step and prints its figures, both as JSON. */
import { wasm } from '@tessera/backend-wasm'
import { createRuntime, nullBackend, nullKernels, type Runtime } from '@tessera/core'
import { type GptStepCase, gptStepFamily } from '../cases/gpt-step.ts'
import { summarize } from '../harness/statistics.ts'
import { prepareGptStep } from '../implementations/tessera-gpt-step.ts'
import type { ProgramFigures, ProgramRequest } from './figures.ts'

const timedSteps = 20
const timedCalls = 2000

const request = JSON.parse(process.argv[2]!) as ProgramRequest
const { variant, threads, steps } = request
const step = gptStepFamily.cases.find(({ name }) => name === request.case)!
/** Memory over many steps shows in any step; a small one leaves time for many. */
const small: GptStepCase = { ...step, layers: 2, heads: 2, width: 32, context: 16, batch: 4 }

const plugin = wasm({ ...(variant === 'wide' ? { wide: true } : { variant: variant as 'plain' | 'relaxed' }), threads })

/** Milliseconds of each of the next `count` steps. */
async function timesOf(runtime: Runtime, count: number, run: () => void): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const start = performance.now()
    run()
    await runtime.synchronize()
    times.push(performance.now() - start)
  }
  return times
}

async function readiness(runtime: Runtime, benchmarkCase: GptStepCase): Promise<{ first: number; later: number }> {
  const { run } = prepareGptStep(runtime, benchmarkCase)
  const [first] = await timesOf(runtime, 1, run)
  return { first: first!, later: summarize(await timesOf(runtime, timedSteps, run)).median }
}

async function callMilliseconds(): Promise<number> {
  const device = { name: 'null', apiVersion: 1, backends: [nullBackend], kernels: nullKernels() } as const
  const runtime = await createRuntime({ use: [device] })
  const { run } = prepareGptStep(runtime, step)
  await timesOf(runtime, timedCalls, run)
  const times = await timesOf(runtime, timedCalls, run)
  await runtime.close()
  return summarize(times).median
}

async function plan(): Promise<{ planned: number; live: number }> {
  const plans: { planned: number; live: number }[] = []
  const log = (line: string): void => {
    const found = /: arena (\d+) bytes, live (\d+)/.exec(line)
    if (found) plans.push({ planned: Number(found[1]), live: Number(found[2]) })
  }
  const runtime = await createRuntime({ use: [plugin], debug: 3, log })
  prepareGptStep(runtime, step).run()
  await runtime.synchronize()
  await runtime.close()
  return plans.toSorted((a, b) => b.planned - a.planned)[0]!
}

async function memoryOverSteps(): Promise<Pick<ProgramFigures, 'deviceBytes' | 'heapBytes' | 'residentBytes'>> {
  const runtime = await createRuntime({ use: [plugin] })
  const { run } = prepareGptStep(runtime, small)
  const read = async (): Promise<{ device: number; heap: number; resident: number }> => {
    await runtime.synchronize()
    globalThis.gc!()
    const { heapUsed, rss } = process.memoryUsage()
    return { device: runtime.memory().usedBytes, heap: heapUsed, resident: rss }
  }
  const advance = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      run()
      // A program that trains reads its loss now and then.
      if (i % 100 === 99) await runtime.synchronize()
    }
  }
  const tenth = Math.ceil(steps / 10)
  await advance(tenth)
  const early = await read()
  await advance(steps - tenth)
  const late = await read()
  await runtime.close()
  return {
    deviceBytes: [early.device, late.device],
    heapBytes: [early.heap, late.heap],
    residentBytes: [early.resident, late.resident],
  }
}

const runtime = await createRuntime({ use: [plugin] })
if (runtime.device.variant !== variant || runtime.device.threads !== threads) {
  throw new Error(`the backend runs ${runtime.device.threads} threads of its ${runtime.device.variant} kernels here`)
}
const cold = await readiness(runtime, step)
const warm = await readiness(runtime, { ...step, batch: step.batch + 1 })
await runtime.close()
const { planned, live } = await plan()
const figures: ProgramFigures = {
  case: step.name,
  variant,
  threads,
  firstStepMs: cold.first,
  stepMs: cold.later,
  readyMs: cold.first - cold.later,
  warmReadyMs: warm.first - warm.later,
  callMs: await callMilliseconds(),
  plannedBytes: planned,
  liveBytes: live,
  steps,
  ...(await memoryOverSteps()),
}
console.log(JSON.stringify(figures))
process.exit(0)
