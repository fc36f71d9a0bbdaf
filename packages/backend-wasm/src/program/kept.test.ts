import type { Kernel, Operand, Program, SelectedProgram } from '@tessera/core'
import { rowMajorView } from '@tessera/core'
import { afterEach, describe, expect, it } from 'vitest'
import { f32, i32 } from '../assembler/index.ts'
import { WasmDevice } from '../device/device.ts'
import { Machine } from '../device/machine.ts'
import type { WasmFunction } from './contract.ts'

const parameters = { x: 'i32', y: 'i32', z: 'i32' } as const
const addition: WasmFunction<typeof parameters> = {
  name: 'test/addition',
  parameters,
  define: (module) =>
    module.function('addition', parameters, 'void', (fn, { x, y, z }) => {
      fn.forRange(0, 16, 4, (at) => {
        fn.store('f32', i32.add(z, at), f32.add(f32.load(i32.add(x, at)), f32.load(i32.add(y, at))))
      })
    }),
}

/** x + 2 w, where 2 w is computed by the first step into memory that may be kept. */
const kernel = {
  name: 'test/kept',
  op: 'matmul',
  backend: 'wasm',
  tolerance: 0,
  cost: () => 1,
  build: () => () => ({
    steps: [
      {
        function: addition as unknown as WasmFunction,
        arguments: [
          { kind: 'input', index: 1 },
          { kind: 'input', index: 1 },
          { kind: 'kept', byteOffset: 16 },
        ],
      },
      {
        function: addition as unknown as WasmFunction,
        arguments: [
          { kind: 'input', index: 0 },
          { kind: 'kept', byteOffset: 16 },
          { kind: 'output', index: 0 },
        ],
      },
    ],
    sharedScratchBytes: 8,
    kept: { inputs: [1], steps: 1, bytes: 32 },
  }),
} satisfies Kernel<'matmul', 'wasm'>

function programOf(isConstant: boolean): SelectedProgram<'wasm'> {
  const view = rowMajorView([4])
  const operand = (buffer: number): Operand => ({ buffer, dtype: 'f32', view })
  const weights: Operand = isConstant ? { ...operand(1), isConstant: true } : operand(1)
  const call = { op: 'matmul', attributes: {}, inputs: [operand(0), weights], outputs: [operand(2)] } as const
  const program: Program = {
    buffers: [0, 1, 2].map((id) => ({ id, byteLength: 16, role: id === 2 ? 'output' : 'input' })),
    calls: [call],
    inputs: [0, 1],
    outputs: [2],
    arenaBytes: 0,
  }
  return { program, calls: [{ call, kernel: kernel as never, estimatedMicroseconds: 1 }] }
}

const device = new WasmDevice(new Machine('plain', { shared: false, threads: 1 }))
const bytesOf = (values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer)
afterEach(() => device.synchronize())

describe.each([true, false])('memory that a call fills from constants, bound to a constant: %s', (isConstant) => {
  it(isConstant ? 'is filled once and kept' : 'is filled at every run', async () => {
    const buffers = [0, 1, 2].map(() => device.allocate(16))
    const before = device.memory().usedBytes
    const executable = device.compile(programOf(isConstant))
    const run = async (x: readonly number[]): Promise<number[]> => {
      device.write(buffers[0]!, bytesOf(x))
      executable.run(buffers)
      return [...new Float32Array((await device.read(buffers[2]!, 16)).buffer)]
    }
    device.write(buffers[1]!, bytesOf([1, 2, 3, 4]))
    expect(await run([0, 0, 0, 1])).toEqual([2, 4, 6, 9])
    expect(await run([5, 0, 0, 0])).toEqual([7, 4, 6, 8])
    // A constant does not change; that this one does shows what was kept.
    device.write(buffers[1]!, bytesOf([0, 0, 0, 0]))
    expect(await run([1, 1, 1, 1])).toEqual(isConstant ? [3, 5, 7, 9] : [1, 1, 1, 1])
    executable.dispose()
    expect(device.memory().usedBytes).toBe(before)
  })
})
