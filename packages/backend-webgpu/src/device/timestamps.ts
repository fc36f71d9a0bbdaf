import { bufferUsage, mapForReading } from './constants.ts'
import type { Machine } from './machine.ts'

/**
 * Runs groups of dispatches one after the other and gives the microseconds that each took: by timestamp queries where the device has them,
 * else by waiting for each.
 */
export async function timePasses<Step>(
  machine: Machine,
  groups: readonly (readonly Step[])[],
  encode: (pass: GPUComputePassEncoder, step: Step) => void,
): Promise<readonly number[]> {
  if (machine.device.features.has('timestamp-query')) return byTimestamps(machine, groups, encode)
  const { device } = machine
  const times: number[] = []
  for (const group of groups) {
    await device.queue.onSubmittedWorkDone()
    const start = performance.now()
    const encoder = device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    for (const step of group) encode(pass, step)
    pass.end()
    device.queue.submit([encoder.finish()])
    await device.queue.onSubmittedWorkDone()
    times.push(1000 * (performance.now() - start))
  }
  return times
}

/** Most timestamps that one query set holds (WebGPU, section 20.4). */
const maximumQueries = 4096

async function byTimestamps<Step>(
  { device }: Machine,
  groups: readonly (readonly Step[])[],
  encode: (pass: GPUComputePassEncoder, step: Step) => void,
): Promise<readonly number[]> {
  const times: number[] = []
  for (let start = 0; start < groups.length; start += maximumQueries / 2) {
    const part = groups.slice(start, start + maximumQueries / 2)
    const count = 2 * part.length
    const querySet = device.createQuerySet({ type: 'timestamp', count })
    const resolved = device.createBuffer({ size: 8 * count, usage: bufferUsage.queryResolve | bufferUsage.copySource })
    const readable = device.createBuffer({ size: 8 * count, usage: bufferUsage.mapRead | bufferUsage.copyTarget })
    const encoder = device.createCommandEncoder()
    part.forEach((group, i) => {
      const pass = encoder.beginComputePass({
        timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
      })
      for (const step of group) encode(pass, step)
      pass.end()
    })
    encoder.resolveQuerySet(querySet, 0, count, resolved, 0)
    encoder.copyBufferToBuffer(resolved, 0, readable, 0, 8 * count)
    device.queue.submit([encoder.finish()])
    await readable.mapAsync(mapForReading)
    const nanoseconds = new BigUint64Array(readable.getMappedRange())
    for (let i = 0; i < part.length; i++) {
      times.push(Math.max(0, Number(nanoseconds[2 * i + 1]! - nanoseconds[2 * i]!) / 1000))
    }
    readable.unmap()
    querySet.destroy()
    resolved.destroy()
    readable.destroy()
  }
  return times
}
