import { describe, expect, it } from 'vitest'
import type { Device } from '../../plugin/contract.ts'
import { ProgramBuilder } from '../../testing/programs.ts'
import { selectKernels } from '../../testing/run-program.ts'
import { referenceBackend } from './backend.ts'
import { referenceKernels } from './kernels.ts'

const open = (): Device => referenceBackend.open()

/** Negates through a temporary of `count` elements. */
function compileNegate(device: Device, count: number) {
  const builder = new ProgramBuilder()
  const [x, y, between] = [
    builder.input('f32', [count]),
    builder.output('f32', [count]),
    builder.temporary('f32', [count]),
  ]
  builder.map([count], (body) => body.store(between, body.compute('negate', body.load(x))))
  builder.map([count], (body) => body.store(y, body.load(between)))
  return device.compile(selectKernels(builder.build(), referenceKernels, 'reference', device.limits))
}

describe('memory', () => {
  it('counts buffers and one arena as large as the largest program needs', async () => {
    const device = open()
    const buffer = device.allocate(10)
    expect(device.memory()).toEqual({ usedBytes: 10, peakBytes: 10 })
    const [small, large] = [compileNegate(device, 64), compileNegate(device, 128)]
    expect(device.memory().usedBytes).toBe(10 + 512)
    large.dispose()
    expect(device.memory().usedBytes).toBe(10 + 256)
    small.dispose()
    small.dispose()
    device.free(buffer)
    expect(device.memory()).toEqual({ usedBytes: 0, peakBytes: 522 })
  })

  it('names what is wrong with a buffer', async () => {
    const [device, other] = [open(), open()]
    const buffer = device.allocate(8)
    expect(() => other.write(buffer, new Uint8Array(1))).toThrow(expect.objectContaining({ code: 'BUFFER_FOREIGN' }))
    expect(() => device.write(buffer, new Uint8Array(9))).toThrow(expect.objectContaining({ code: 'BUFFER_RANGE' }))
    device.free(buffer)
    expect(() => device.free(buffer)).toThrow(expect.objectContaining({ code: 'BUFFER_FREED' }))
    expect(() => device.allocate(2 ** 40)).toThrow(expect.objectContaining({ code: 'OUT_OF_MEMORY' }))
    await device.close()
    expect(() => device.allocate(1)).toThrow(expect.objectContaining({ code: 'DEVICE_CLOSED' }))
  })
})

describe('runs', () => {
  it('read and write the bound buffers', async () => {
    const device = open()
    const executable = compileNegate(device, 3)
    const [x, y] = [device.allocate(12), device.allocate(12)]
    device.write(x, new Uint8Array(Float32Array.of(1, -2, 3).buffer))
    executable.run([x, y])
    expect([...new Float32Array((await device.read(y, 12)).buffer)]).toEqual([-1, 2, -3])
  })

  it('refuse a disposed program, and two buffers where one takes over the other', async () => {
    const device = open()
    const executable = compileNegate(device, 1)
    executable.dispose()
    const [x, y] = [device.allocate(4), device.allocate(4)]
    expect(() => executable.run([x, y])).toThrow(expect.objectContaining({ code: 'EXECUTABLE_DISPOSED' }))

    const builder = new ProgramBuilder()
    const input = builder.input('f32', [1])
    const output = builder.output('f32', [1], input)
    builder.map([1], (body) => body.store(output, body.compute('negate', body.load(input))))
    const donating = device.compile(selectKernels(builder.build(), referenceKernels, 'reference', device.limits))
    expect(() => donating.run([x, y])).toThrow(/output 1 takes over the memory of input 0/)
    device.write(x, new Uint8Array(Float32Array.of(7).buffer))
    donating.run([x, x])
    expect(new Float32Array((await device.read(x, 4)).buffer)[0]).toBe(-7)
  })
})
