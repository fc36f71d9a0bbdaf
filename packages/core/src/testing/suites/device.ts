import type { Device, DeviceBuffer, Executable } from '../../plugin/contract.ts'
import { assertClose, assertFails } from '../assertions.ts'
import type { SuiteContext } from '../context.ts'
import { ProgramBuilder } from '../programs.ts'
import { selectKernels } from '../run-program.ts'

const bytes = (count: number, first = 1): Uint8Array =>
  Uint8Array.from({ length: count }, (_, i) => (first + 3 * i) & 0xff)
const toBytes = (values: readonly number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer)
async function readFloats(device: Device, buffer: DeviceBuffer, count: number): Promise<Float32Array> {
  return new Float32Array((await device.read(buffer, 4 * count)).buffer)
}

/** How a device treats memory, order and mistakes. */
export function deviceSuite(context: SuiteContext, openAnother: () => Promise<Device>): void {
  /** `y = 2 · x + 1` over four floats. */
  const compileAffine = (device: Device): Executable => {
    const builder = new ProgramBuilder()
    const [x, y] = [builder.input('f32', [4]), builder.output('f32', [4])]
    const half = builder.temporary('f32', [4])
    builder.map([4], (body) => body.store(half, body.compute('multiply', body.load(x), body.constant(2))))
    builder.map([4], (body) => body.store(y, body.compute('add', body.load(half), body.constant(1))))
    const program = builder.build(Math.max(256, device.limits.alignment))
    return device.compile(selectKernels(program, context.kernels, device.backend, device.limits))
  }

  context.describe('device', () => {
    context.it('states its figures', async () => {
      const { limits, threads, variant } = await context.device()
      for (const [name, value] of Object.entries(limits)) {
        if (!(value > 0)) throw new Error(`limits.${name} is ${value}; it must be positive.`)
      }
      if (!Number.isInteger(Math.log2(limits.alignment)))
        throw new Error(`limits.alignment is ${limits.alignment}; it must be a power of two.`)
      if (!(threads >= 1) || variant.length === 0)
        throw new Error(`threads is ${threads} and variant '${variant}'; one thread and a name at least.`)
    })

    context.it('keeps what is written, of any length, and reads copies', async () => {
      const device = await context.device()
      for (const length of [0, 1, 3, 4, 7, 64, 1000]) {
        const buffer = device.allocate(length)
        const written = bytes(length)
        device.write(buffer, written)
        written.fill(0)
        const read = await device.read(buffer, length)
        assertClose(read, bytes(length), {}, `${length} bytes`)
        read.fill(9)
        assertClose(
          await device.read(buffer, Math.min(3, length)),
          bytes(length).slice(0, 3),
          {},
          `first bytes of ${length}, read again`,
        )
        device.free(buffer)
      }
    })

    context.it('keeps buffers apart', async () => {
      const device = await context.device()
      const buffers = Array.from({ length: 9 }, (_, i) => device.allocate(10 + i))
      for (const [i, buffer] of buffers.entries()) device.write(buffer, bytes(10 + i, i))
      for (const i of [0, 4, 8]) device.free(buffers[i]!)
      const late = device.allocate(30)
      device.write(late, bytes(30, 77))
      for (const i of [1, 2, 3, 5, 6, 7])
        assertClose(await device.read(buffers[i]!, 10 + i), bytes(10 + i, i), {}, `buffer ${i}`)
      for (const i of [1, 2, 3, 5, 6, 7]) device.free(buffers[i]!)
      device.free(late)
    })

    context.it('counts memory and comes back to where it was', async () => {
      const device = await context.device()
      const before = device.memory()
      const buffer = device.allocate(100_000)
      const during = device.memory()
      if (during.usedBytes < before.usedBytes + 100_000 || during.peakBytes < during.usedBytes) {
        throw new Error(
          `after allocating 100000 bytes: used ${before.usedBytes} → ${during.usedBytes}, peak ${during.peakBytes}.`,
        )
      }
      const executable = compileAffine(device)
      const [x, y] = [device.allocate(16), device.allocate(16)]
      executable.run([x, y])
      await device.synchronize()
      executable.dispose()
      for (const each of [buffer, x, y]) device.free(each)
      await device.synchronize()
      const after = device.memory()
      if (after.usedBytes !== before.usedBytes)
        throw new Error(`used bytes were ${before.usedBytes} and are ${after.usedBytes} after freeing all.`)
      if (after.peakBytes < during.peakBytes)
        throw new Error(`peak bytes fell from ${during.peakBytes} to ${after.peakBytes}.`)
    })

    context.it('runs and copies in the order in which they were asked for', async () => {
      const device = await context.device()
      const executable = compileAffine(device)
      const [x, y, z] = [device.allocate(16), device.allocate(16), device.allocate(16)]
      device.write(x, toBytes([0, 1, 2, 3]))
      executable.run([x, y])
      executable.run([y, z])
      const first = readFloats(device, z, 4)
      // Neither this write nor the run after it may reach the reads asked for before.
      device.write(x, toBytes([10, 20, 30, 40]))
      const middle = readFloats(device, y, 4)
      executable.run([x, y])
      const last = readFloats(device, y, 4)
      assertClose(await first, [3, 7, 11, 15], {}, 'a run of the result of a run')
      assertClose(await middle, [1, 3, 5, 7], {}, 'the first run, read after a write to its input')
      assertClose(await last, [21, 41, 61, 81], {}, 'a run after the write')
      executable.dispose()
      for (const buffer of [x, y, z]) device.free(buffer)
    })

    context.it('runs one program on many buffers, and programs in turn', async () => {
      const device = await context.device()
      const [one, two] = [compileAffine(device), compileAffine(device)]
      const bound = Array.from({ length: 6 }, (_, i) => {
        const [x, y] = [device.allocate(16), device.allocate(16)]
        device.write(x, toBytes([i, i, i, i]))
        ;(i % 2 === 0 ? one : two).run([x, y])
        return { x, y }
      })
      for (const [i, { y }] of bound.entries())
        assertClose(
          await readFloats(device, y, 4),
          [1, 1, 1, 1].map(() => 2 * i + 1),
          {},
          `run ${i}`,
        )
      one.dispose()
      two.dispose()
      for (const { x, y } of bound) {
        device.free(x)
        device.free(y)
      }
    })

    context.it('profiles every call, with the results of a run', async () => {
      const device = await context.device()
      const executable = compileAffine(device)
      const [x, y] = [device.allocate(16), device.allocate(16)]
      device.write(x, toBytes([5, 6, 7, 8]))
      const times = await executable.profile([x, y])
      if (times.length !== 2 || !times.every((time) => time >= 0))
        throw new Error(`profile of two calls gave [${times.join(', ')}].`)
      assertClose(await readFloats(device, y, 4), [11, 13, 15, 17], {}, 'a profiled run')
      executable.dispose()
      for (const buffer of [x, y]) device.free(buffer)
    })

    context.it('refuses to use or free a buffer that was freed', async () => {
      const device = await context.device()
      const executable = compileAffine(device)
      const [freed, alive] = [device.allocate(16), device.allocate(16)]
      device.free(freed)
      await assertFails(() => device.free(freed), 'freeing a buffer twice')
      await assertFails(() => device.write(freed, bytes(16)), 'writing a freed buffer')
      await assertFails(() => device.read(freed, 16), 'reading a freed buffer')
      await assertFails(() => executable.run([freed, alive]), 'running on a freed buffer')
      device.free(alive)
      executable.dispose()
    })

    context.it('refuses lengths beyond a buffer and wrong numbers of buffers', async () => {
      const device = await context.device()
      const executable = compileAffine(device)
      const [x, y, small] = [device.allocate(16), device.allocate(16), device.allocate(8)]
      await assertFails(() => device.write(x, bytes(17)), 'writing 17 bytes to a buffer of 16')
      await assertFails(() => device.read(x, 17), 'reading 17 bytes of a buffer of 16')
      await assertFails(() => device.allocate(-1), 'allocating −1 bytes')
      await assertFails(() => executable.run([x]), 'binding one buffer of two')
      await assertFails(() => executable.run([x, small]), 'binding a buffer that is too small')
      for (const buffer of [x, y, small]) device.free(buffer)
      executable.dispose()
    })

    context.it('closes, and refuses work from then on', async () => {
      const device = await openAnother()
      const executable = compileAffine(device)
      const buffers = [device.allocate(16), device.allocate(16)]
      await device.close()
      await assertFails(() => device.allocate(4), 'allocating on a closed device')
      await assertFails(() => device.read(buffers[0]!, 4), 'reading on a closed device')
      await assertFails(() => executable.run(buffers), 'running on a closed device')
    })
  })
}
