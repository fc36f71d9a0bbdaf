import { compareWithReference, createRandom, ProgramBuilder, randomStorage } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { WasmDevice } from '../device/device.ts'
import { Machine } from '../device/machine.ts'
import { wasmKernels } from '../kernels/index.ts'
import { optimised } from '../testing/backends.ts'
import { enableRevectorizer } from '../variant.ts'

describe('wide rows of narrow integers', () => {
  // The gradient of a layer norm whose input lies in 16 bits: V8's revectoriser put the sums of one row into those of the next.
  it.each(['i16', 'i8'] as const)('%s: keep the sums of rows apart', async (dtype) => {
    await enableRevectorizer()
    const open = async () => new WasmDevice(new Machine('wide', { shared: false, threads: 1 }))
    const device = (await optimised({ name: 'wasm', open }).open()) as WasmDevice
    const random = createRandom(3)
    const program = new ProgramBuilder()
    const domain = [64, 64]
    const over = (strides: number[]) => ({ shape: domain, strides, offset: 0 })
    const inputs = [dtype, 'f32', 'f32', 'f32', 'f32'].map((format, i) => {
      const count = [4096, 1, 1, 4096, 64][i]!
      const data = randomStorage(random, format as 'f32', count)
      return format === 'f32' ? data.map((_, at) => 1 + Math.abs(Math.sin(at))) : data
    })
    const operand = (format: 'f32' | typeof dtype, count: number, strides: number[]) => ({
      ...program.input(format, [count]),
      view: over(strides),
    })
    const output = (format: 'f32' | typeof dtype, count: number, strides: number[]) => ({
      ...program.output(format, [count]),
      view: over(strides),
    })
    program.row(domain, 1, (body) => {
      const scaled = body.compute(
        'multiply',
        body.cast(body.load(operand(dtype, 4096, [64, 1])), 'f32'),
        body.load(operand('f32', 1, [0, 0])),
      )
      const share = body.constant(1 / 64)
      const mean = body.compute('multiply', body.reduce('reduceSum', scaled), share)
      const centred = body.compute('subtract', scaled, mean)
      const squares = body.reduce('reduceSum', body.compute('multiply', centred, centred))
      const deviation = body.compute(
        'squareRoot',
        body.compute('add', body.compute('multiply', squares, share), body.constant(1)),
      )
      const inverse = body.compute('reciprocal', deviation)
      const normal = body.compute('multiply', centred, inverse)
      const factor = body.load(operand('f32', 1, [0, 0]))
      const mantissa = body.compute('round', body.compute('divide', body.load(operand('f32', 4096, [64, 1])), factor))
      const largest = body.reduce('reduceMaximum', body.compute('absolute', mantissa))
      const gradient = body.compute(
        'multiply',
        body.compute('multiply', mantissa, factor),
        body.load(operand('f32', 64, [0, 1])),
      )
      const along = body.reduce('reduceSum', body.compute('multiply', gradient, normal))
      const total = body.reduce('reduceSum', gradient)
      const rest = body.compute('subtract', gradient, body.compute('multiply', total, share))
      const result = body.compute(
        'subtract',
        rest,
        body.compute('multiply', normal, body.compute('multiply', along, share)),
      )
      body.store(output('f32', 64, [1, 0]), mean)
      body.store(output('f32', 64, [1, 0]), inverse)
      body.store(output('f32', 64, [1, 0]), largest)
      body.store(output(dtype, 4096, [64, 1]), body.cast(mantissa, dtype))
      body.store(output('f32', 4096, [64, 1]), body.compute('multiply', inverse, result))
    })
    const comparison = () => ({ relative: 1e-4, absolute: 1e-4 })
    await compareWithReference(device, wasmKernels, program.build(), inputs, comparison, dtype)
  })
})
