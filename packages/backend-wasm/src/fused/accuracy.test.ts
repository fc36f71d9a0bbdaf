import type { SelectedProgram } from '@tessera/core'
import { ProgramBuilder, runProgram } from '@tessera/core/testing'
import { describe, expect, it } from 'vitest'
import { WasmDevice } from '../device/device.ts'
import { Machine } from '../device/machine.ts'
import { wasmKernels } from '../kernels/index.ts'

const tenth = Math.fround(0.1)

/** Adding a tenth a million times in f32, one after the other, gives 100958.34: wrong by 1 %. */
describe('long sums of a tenth', () => {
  const device = new WasmDevice(new Machine('plain', { shared: false, threads: 1 }))
  const sum = async (write: (program: ProgramBuilder) => void, elements: number): Promise<Float32Array> => {
    const program = new ProgramBuilder()
    write(program)
    const { outputs } = await runProgram(device, wasmKernels, program.build() satisfies SelectedProgram['program'], [
      new Float32Array(elements).fill(tenth),
    ])
    return new Float32Array(outputs[0]!.buffer)
  }

  for (const [rows, length] of [
    [1, 1_000_000],
    [20, 50_000],
  ] as const) {
    it(`along ${rows} rows of ${length}`, async () => {
      const sums = await sum((program) => {
        const [x, y] = [program.input('f32', [rows, length]), program.output('f32', [rows, 1])]
        program.row([rows, length], 1, (body) => body.store(y, body.reduce('reduceSum', body.load(x))))
      }, rows * length)
      expect(sums).toHaveLength(rows)
      expect(Math.max(...sums.map((value) => Math.abs(value / (length * tenth) - 1)))).toBeLessThan(1e-5)
    })
  }

  it('down 200000 rows of 5 columns', async () => {
    const sums = await sum((program) => {
      const [x, y] = [program.input('f32', [200_000, 5]), program.output('f32', [1, 5])]
      program.column([200_000, 5], 0, 1, (body) => body.store(y, body.reduce('reduceSum', body.load(x))))
    }, 1_000_000)
    expect(Math.max(...sums.map((value) => Math.abs(value / (200_000 * tenth) - 1)))).toBeLessThan(1e-5)
  })
})
