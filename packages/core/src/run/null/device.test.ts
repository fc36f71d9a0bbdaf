import { expect, it } from 'vitest'
import type { SelectedProgram } from '../../plugin/contract.ts'
import { ProgramBuilder } from '../../testing/programs.ts'
import { selectKernels } from '../../testing/run-program.ts'
import { nullBackend } from './device.ts'
import { nullKernels } from './kernels.ts'

it('plans, counts and computes nothing', async () => {
  const device = await nullBackend.open()
  // 64 GB of weights: none of it is ever there.
  const builder = new ProgramBuilder()
  const [a, b] = [builder.input('f32', [100000, 80000]), builder.input('f32', [80000, 100000])]
  const [product, y] = [builder.temporary('f32', [100000, 100000]), builder.output('f32', [100000, 100000])]
  builder.call('matmul', {}, [a, b], [product])
  builder.map([100000, 100000], (body) => body.store(y, body.compute('exp', body.load(product))))
  const executable = device.compile(
    selectKernels(builder.build(), nullKernels(), 'null', device.limits) as SelectedProgram<'null'>,
  )
  const buffers = [3.2e10, 3.2e10, 4e10].map((bytes) => device.allocate(bytes))
  expect(device.memory().usedBytes).toBe(3.2e10 + 3.2e10 + 4e10 + 4e10)
  executable.run(buffers)
  executable.run(buffers)
  expect(await executable.profile(buffers)).toEqual([0, 0])
  device.write(buffers[0]!, new Uint8Array(5))
  expect([...(await device.read(buffers[2]!, 3))]).toEqual([0, 0, 0])
  expect(device.counts()).toEqual({
    programs: 1,
    compiledCalls: 2,
    runs: 3,
    calls: 6,
    allocations: 3,
    bytesWritten: 5,
    bytesRead: 3,
  })
  executable.dispose()
  executable.dispose()
  for (const buffer of buffers) device.free(buffer)
  expect(device.memory().usedBytes).toBe(0)
})

it('refuses what every device refuses', async () => {
  const device = await nullBackend.open()
  const buffer = device.allocate(4)
  expect(() => device.write(buffer, new Uint8Array(5))).toThrow(/5 bytes asked for of a buffer of 4/)
  device.free(buffer)
  expect(() => device.free(buffer)).toThrow(/has been freed/)
  const builder = new ProgramBuilder()
  const y = builder.output('f32', [4])
  builder.map([4], (body) => body.store({ ...y, view: { ...y.view, offset: 1 } }, body.constant(1)))
  const selected = selectKernels(
    builder.build(),
    nullKernels(['fused']),
    'null',
    device.limits,
  ) as SelectedProgram<'null'>
  expect(() => device.compile(selected)).toThrow(/reaches elements 1 to 4 of buffer 0, which holds 4/)
  await device.close()
  expect(() => device.allocate(1)).toThrow(/closed/)
})

it('has kernels for any op, at no cost', () => {
  const kernels = nullKernels(['softmax', 'matmul'])
  expect(kernels.map(({ name }) => name)).toEqual(['null/softmax', 'null/matmul'])
  expect(kernels.map(({ tolerance }) => tolerance)).toEqual([0, 0])
})
