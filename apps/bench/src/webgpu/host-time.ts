import { webgpu } from '@tessera/backend-webgpu'
import { createRuntime } from '@tessera/core'
import type { GptStepCase } from '../cases/gpt-step.ts'
import { prepareGptStep } from '../implementations/tessera-gpt-step.ts'

/** Milliseconds that JavaScript takes to hand a training step over, and what the step is made of. */
export interface HostTime {
  readonly minMs: number
  readonly medianMs: number
  readonly dispatches: number
  readonly submits: number
}

const [warmSteps, steps] = [60, 300]

/**
 * Times the calls of a training step on Dawn's null adapter, which checks and records everything and computes nothing: what is left is JavaScript and
 * Dawn's own checks. It counts as a graphics card, whose products are shared among more workgroups than a software adapter's.
 */
export async function measureHostTime(benchmarkCase: GptStepCase): Promise<HostTime> {
  const runtime = await createRuntime({ use: [webgpu({ dawnFlags: ['backend=null'] })] })
  const prepared = prepareGptStep(runtime, benchmarkCase)
  const device = runtime.device as unknown as { counts(): { dispatches: number; submits: number } }
  const step = async (): Promise<number> => {
    const start = performance.now()
    const running = prepared.run()
    const took = performance.now() - start
    await running
    await runtime.synchronize()
    return took
  }
  for (let i = 0; i < warmSteps; i++) await step()
  const before = device.counts()
  const times: number[] = []
  for (let i = 0; i < steps; i++) times.push(await step())
  const after = device.counts()
  await runtime.close()
  times.sort((a, b) => a - b)
  return {
    minMs: times[0]!,
    medianMs: times[steps / 2]!,
    dispatches: (after.dispatches - before.dispatches) / steps,
    submits: (after.submits - before.submits) / steps,
  }
}
