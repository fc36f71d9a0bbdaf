import type { DeviceBuffer, Operand, SelectedProgram, TypedArray } from '@tessera/core'
import {
  type BodyBuilder,
  compareWithReference,
  createRandom,
  ProgramBuilder,
  randomStorage,
  selectKernels,
} from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { WasmDevice } from './device/device.ts'
import { Machine } from './device/machine.ts'
import { wasmKernels } from './kernels/index.ts'

/** A program, and the sizes of its inputs, which are all of standard normal floats unless they hold indices. */
interface Case {
  readonly name: string
  readonly write: (program: ProgramBuilder) => void
  /** For each input, below which number its indices are. */
  readonly indices?: Readonly<Record<number, number>>
  /** Relative RMS error against the reference that long sums may have. */
  readonly rms?: number
}

const normalize = (body: BodyBuilder, x: number, length: number): number => {
  const scale = body.constant(1 / length)
  const centered = body.compute('subtract', x, body.compute('multiply', scale, body.reduce('reduceSum', x)))
  const variance = body.compute(
    'multiply',
    scale,
    body.reduce('reduceSum', body.compute('multiply', centered, centered)),
  )
  return body.compute(
    'divide',
    centered,
    body.compute('squareRoot', body.compute('add', variance, body.constant(1e-5))),
  )
}

const softmax = (body: BodyBuilder, x: number): number => {
  const exponentials = body.compute('exp', body.compute('subtract', x, body.reduce('reduceMaximum', x)))
  return body.compute('divide', exponentials, body.reduce('reduceSum', exponentials))
}

const rowCase = (
  name: string,
  rows: number,
  length: number,
  compute: (body: BodyBuilder, x: number, length: number) => number,
): Case => ({
  name,
  write: (program) => {
    const [x, y] = [program.input('f32', [rows, length]), program.output('f32', [rows, length])]
    program.row([rows, length], 1, (body) => body.store(y, compute(body, body.load(x), length)))
  },
})

const cases: readonly Case[] = [
  {
    name: 'a long sum',
    write: (program) => {
      const [x, y] = [program.input('f32', [1_000_003]), program.output('f32', [1])]
      program.row([1_000_003], 1, (body) => body.store(y, body.reduce('reduceSum', body.load(x))))
    },
    rms: 1e-5,
  },
  {
    name: 'a mean of long rows with an operand for each column, and a maximum',
    write: (program) => {
      const x = program.input('f32', [3, 700, 50])
      const weights = program.input('f32', [3, 700, 1])
      const [mean, most] = [program.output('f32', [3, 1, 1]), program.output('f32', [3, 1, 1])]
      program.row([3, 700, 50], 2, (body) => {
        const weighted = body.compute('multiply', body.load(x), body.load(weights))
        body.store(mean, body.compute('multiply', body.reduce('reduceSum', weighted), body.constant(1 / 35_000)))
        body.store(most, body.reduce('reduceMaximum', weighted))
      })
    },
  },
  rowCase('softmax of few long rows', 3, 50_257, softmax),
  rowCase('layer norm of one long row', 1, 200_001, normalize),
  ...[300, 20_000].map(
    (length): Case => ({
      name: `rows of ${length} that a first pass writes in place and a second one reads`,
      write: (program) => {
        const x = program.input('f32', [3, length])
        const [centered, shares] = [program.output('f32', [3, length], x), program.output('f32', [3, length])]
        program.row([3, length], 1, (body) => {
          const value = body.load(x)
          const difference = body.compute('subtract', value, body.reduce('reduceMaximum', value))
          body.store(centered, difference)
          const sum = body.reduce('reduceSum', body.compute('exp', difference))
          body.store(shares, body.compute('divide', value, sum))
        })
      },
    }),
  ),
  rowCase('softmax of many short rows', 301, 67, softmax),
  rowCase('layer norm of rows of middle length', 33, 9001, normalize),
  {
    name: 'elementwise ops on two axes, with a broadcast operand',
    write: (program) => {
      const [x, bias, y] = [
        program.input('f32', [100, 77]),
        program.input('f32', [1, 77]),
        program.output('f32', [100, 77]),
      ]
      program.map([100, 77], (body) =>
        body.store(y, body.compute('tanh', body.compute('add', body.load(x), body.load(bias)))),
      )
    },
  },
  {
    name: 'a transposition',
    write: (program) => {
      const [x, y] = [program.input('f32', [300, 205]), program.output('f32', [205, 300])]
      const turned: Operand = { ...x, view: { shape: [205, 300], strides: [1, 205], offset: 0 } }
      program.map([205, 300], (body) => body.store(y, body.load(turned)))
    },
  },
  {
    name: 'column sums of many rows',
    write: (program) => {
      const [x, y, z] = [
        program.input('f32', [20_000, 37]),
        program.output('f32', [1, 37]),
        program.output('f32', [1, 37]),
      ]
      program.column([20_000, 37], 0, 1, (body) => {
        const value = body.load(x)
        body.store(y, body.reduce('reduceSum', value))
        body.store(z, body.reduce('reduceMaximum', value))
      })
    },
  },
  {
    name: 'column sums between two kept axes, with stored elements',
    write: (program) => {
      const shape = [5, 600, 70]
      const [x, y, z] = [program.input('f32', shape), program.output('f32', [5, 1, 70]), program.output('f32', shape)]
      program.column(shape, 1, 2, (body) => {
        const value = body.compute('multiply', body.load(x), body.constant(0.5))
        body.store(y, body.reduce('reduceSum', value))
        body.store(z, value)
      })
    },
  },
  {
    name: 'a product of matrices',
    write: (program) => {
      const [a, b] = [program.input('f32', [65, 130]), program.input('f32', [130, 77])]
      program.call('matmul', {}, [a, b], [program.output('f32', [65, 77])])
    },
  },
  {
    name: 'gather, and scatter with repeated indices',
    write: (program) => {
      const [table, indices] = [program.input('f32', [50, 130]), program.input('i32', [400])]
      const found = program.output('f32', [400, 130])
      program.call('gather', { axis: 0 }, [table, indices], [found])
      program.call('scatter', { axis: 0, mode: 'add' }, [table, indices, found], [program.output('f32', [50, 130])])
    },
    indices: { 1: 50 },
  },
]

function contents(program: ProgramBuilder, { indices = {} }: Case): TypedArray[] {
  const random = createRandom(7)
  const { buffers, inputs } = program.build()
  return inputs.map((id, position) => {
    const elements = buffers[id]!.byteLength / 4
    const below = indices[position]
    if (below !== undefined) return Int32Array.from({ length: elements }, () => random.integer(0, below - 1))
    return randomStorage(random, 'f32', elements)
  })
}

/** Runs a program as `threads` threads would, one after the other, in the order given; gives the bytes of all outputs. */
async function run(
  device: WasmDevice,
  builder: ProgramBuilder,
  inputs: readonly TypedArray[],
  order: readonly number[],
): Promise<Uint8Array[]> {
  const program = builder.build()
  const executable = device.compile(
    selectKernels(program, wasmKernels, 'wasm', device.limits) as SelectedProgram<'wasm'>,
  )
  const bound = [...program.inputs, ...program.outputs]
  const donorOf = (id: number): number => bound.indexOf(program.buffers[id]!.donatedFrom ?? -1)
  const buffers: DeviceBuffer[] = []
  for (const id of bound) buffers.push(buffers[donorOf(id)] ?? device.allocate(program.buffers[id]!.byteLength))
  inputs.forEach((array, i) => {
    device.write(buffers[i]!, new Uint8Array(array.buffer))
  })
  executable.profileSteps(buffers, (runStep) => {
    for (const thread of order) runStep(thread, order.length)
  })
  const outputs = await Promise.all(
    buffers.slice(inputs.length).map((buffer) => device.read(buffer, buffer.byteLength)),
  )
  for (const buffer of new Set(buffers)) device.free(buffer)
  executable.dispose()
  return outputs
}

describe('threads', () => {
  const device = new WasmDevice(new Machine('relaxed', { shared: false, threads: 4 }))
  for (const each of cases) {
    it(`${each.name}: right, and the same bits on 1, 2, 3 and 4 threads`, async () => {
      const program = new ProgramBuilder()
      each.write(program)
      const inputs = contents(program, each)
      const rms = each.rms ?? 2e-6
      await compareWithReference(
        device,
        wasmKernels,
        program.build(),
        inputs,
        () => ({ rms, relative: 1e-4, absolute: 1e-4 }),
        each.name,
      )
      const alone = await run(device, program, inputs, [0])
      for (const order of [
        [0, 1],
        [2, 0, 1],
        [3, 2, 1, 0],
      ]) {
        expect(await run(device, program, inputs, order)).toEqual(alone)
      }
    })
  }

  it('all read a value of a long row before one writes it in place', async () => {
    const length = 100_000
    const program = new ProgramBuilder()
    const [x, scale] = [program.input('f32', [1, length]), program.input('f32', [1, 1])]
    const [y, next] = [program.output('f32', [1, length]), program.output('f32', [1, 1], scale)]
    program.row([1, length], 1, (body) => {
      const [value, factor] = [body.load(x), body.load(scale)]
      const most = body.reduce('reduceMaximum', value)
      body.store(y, body.compute('multiply', body.compute('subtract', value, most), factor))
      body.store(next, body.compute('add', factor, most))
    })
    const inputs = [Float32Array.from({ length }, (_, i) => i % 8), Float32Array.of(2)]
    for (const order of [[0], [0, 1], [2, 0, 1]]) {
      const [scaled, written] = await run(device, program, inputs, order)
      const wrong = new Float32Array(scaled!.buffer).findIndex((value, i) => value !== (inputs[0]![i]! - 7) * 2)
      expect(wrong).toBe(-1)
      expect(new Float32Array(written!.buffer)).toEqual(Float32Array.of(9))
    }
  })
})
