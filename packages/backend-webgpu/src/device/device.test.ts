import { createRuntime, type Device, jit, type RuntimeOptions, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { assertClose } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { softwareAdapters } from '../testing/adapters.ts'
import type { WebGpuDevice } from './device.ts'

const [adapter] = softwareAdapters
const { plugin } = adapter!

/** A model of one weight vector with momentum: enough for a training step with state. */
interface State {
  weight: Tensor
  velocity: Tensor
}
const x = tensor([
  [1, 2],
  [3, -1],
  [0.5, 0.25],
])
const y = tensor([1, 0, 2])
const trainingStep = () =>
  jit((state: State) => {
    const { value, gradients } = valueAndGrad({ weight: state.weight }, ({ weight }) =>
      x.multiply(weight).sum(1).subtract(y).square().mean(),
    )
    const gradient = gradients.weight
    state.velocity = state.velocity.multiply(0.9).add(gradient)
    state.weight = state.weight.subtract(state.velocity.multiply(0.05))
    return value
  })

async function openDevice(): Promise<WebGpuDevice> {
  const device = await adapter!.backend.open()
  if ('unavailable' in device) throw new Error(device.unavailable)
  return device as unknown as WebGpuDevice
}

describe.runIf(adapter!.isExpected)('the WebGPU device', () => {
  it('keeps the bytes behind a write that ends inside a word', async () => {
    const device = await openDevice()
    const buffer = device.allocate(11)
    device.write(
      buffer,
      Uint8Array.from({ length: 11 }, (_, i) => i + 1),
    )
    device.write(buffer, Uint8Array.of(50, 60, 70, 80, 90))
    expect([...(await device.read(buffer, 11))]).toEqual([50, 60, 70, 80, 90, 6, 7, 8, 9, 10, 11])
    await device.close()
  })

  it('takes bytes in shared memory', async () => {
    const device = await openDevice()
    const bytes = new Uint8Array(new SharedArrayBuffer(8)).fill(7)
    const buffer = device.allocate(8)
    device.write(buffer, bytes)
    expect([...(await device.read(buffer, 8))]).toEqual([7, 7, 7, 7, 7, 7, 7, 7])
    await device.close()
  })

  it('says how large a buffer may be', async () => {
    const device = await openDevice()
    const most = device.limits.maximumBufferBytes
    expect(() => device.allocate(most + 1)).toThrow(
      expect.objectContaining({ code: 'OUT_OF_MEMORY', message: expect.stringContaining(`at most ${most} bytes`) }),
    )
    await device.close()
  })

  it('trains on after the device was lost, from the last checkpoint', async () => {
    const runtime = await createRuntime({ use: [plugin] })
    const state: State = { weight: tensor([0, 0]), velocity: tensor([0, 0]) }
    const step = trainingStep()
    const losses: number[] = []
    for (let i = 0; i < 3; i++) losses.push(await step(state).item())
    const checkpoint = { weight: await state.weight.data(), velocity: await state.velocity.data() }
    for (let i = 0; i < 2; i++) losses.push(await step(state).item())

    const { gpuDevice } = runtime.device as Device as unknown as WebGpuDevice
    gpuDevice.destroy()
    await gpuDevice.lost
    await expect(async () => await step(state).item()).rejects.toThrow(
      expect.objectContaining({ code: 'DEVICE_LOST', message: expect.stringMatching(/last checkpoint/) }),
    )
    await runtime.close()

    const second = await createRuntime({ use: [plugin] })
    const resumed: State = { weight: tensor(checkpoint.weight, [2]), velocity: tensor(checkpoint.velocity, [2]) }
    const again = trainingStep()
    expect([await again(resumed).item(), await again(resumed).item()]).toEqual(losses.slice(3))
    await second.close()
  })

  it('computes 64-bit floats on the host, between programs', async () => {
    const compute = jit((a: Tensor, b: Tensor) =>
      a
        .matmul(b)
        .cast('f64')
        .multiply(1 / 3)
        .sum(0)
        .cast('f32')
        .exp(),
    )
    const notices: string[] = []
    const run = async (options: RuntimeOptions) => {
      const runtime = await createRuntime({ ...options, log: (line) => notices.push(line) })
      const data = await compute(
        x,
        tensor([
          [0.25, 1],
          [-0.5, 2],
        ]),
      ).data()
      const explained = compute.explain()
      await runtime.close()
      return { data, explained }
    }
    const actual = await run({ use: [plugin] })
    assertClose(actual.data, (await run({})).data, { relative: 1e-5, absolute: 0 }, 'result')
    expect(actual.explained).toMatch(/3 steps: program, host, program/)
    expect(actual.explained).toMatch(/1 × reduceSum\(f64\[3, 2\]\)/)
    expect(notices).toHaveLength(1)
  })

  it('records a step without making anything anew', async () => {
    const runtime = await createRuntime({ use: [plugin] })
    const state: State = { weight: tensor([0, 0]), velocity: tensor([0, 0]) }
    const step = trainingStep()
    const device = runtime.device as Device as unknown as WebGpuDevice
    for (let i = 0; i < 4; i++) step(state).dispose()
    await runtime.synchronize()
    const before = device.counts()
    const memory = runtime.memory().usedBytes
    for (let i = 0; i < 5; i++) step(state).dispose()
    await runtime.synchronize()
    const after = device.counts()
    expect(after.submits - before.submits).toBe(5)
    expect(after.bindGroups).toBe(before.bindGroups)
    expect(runtime.memory().usedBytes).toBe(memory)
    await runtime.close()
  })
})
