import type { Kernel, Operand, Program, SelectedProgram } from '@tessera/core'
import { formatOf, rowMajorView, sizeOf } from '@tessera/core'
import { WasmDevice } from './device.ts'
import { type KnownAnswer, knownAnswers } from './known-answers.ts'
import type { Machine } from './machine.ts'

/**
 * Computes known answers with code as the optimising compiler makes it, which is where the revectoriser works. Gives the name of
 * the first kernel family whose result is wrong, and then turns the revectoriser off.
 */
export async function checkWide(
  machine: Machine,
  kernels: readonly Kernel[],
  answers = knownAnswers(),
): Promise<string | undefined> {
  const device = new WasmDevice(machine)
  setV8Flags('--no-liftoff')
  try {
    for (const answer of answers) {
      const result = await compute(device, kernels, answer)
      if (!result) continue
      const isWrong = answer.expected.some(
        (wanted, i) => !(Math.abs(result[i]! - wanted) <= answer.tolerance * Math.max(1, Math.abs(wanted))),
      )
      if (!isWrong) continue
      setV8Flags('--no-experimental-wasm-revectorize')
      return answer.name
    }
    return undefined
  } finally {
    setV8Flags('--liftoff')
  }
}

/** Only Node has the revectoriser. */
function setV8Flags(flags: string): void {
  const { process } = globalThis as {
    process?: { getBuiltinModule?(name: string): { setFlagsFromString(flags: string): void } }
  }
  process?.getBuiltinModule?.('node:v8').setFlagsFromString(flags)
}

/** `undefined` without a kernel for the op. */
async function compute(
  device: WasmDevice,
  kernels: readonly Kernel[],
  { call, inputs, shapes, expected, output = 0 }: KnownAnswer,
): Promise<Float32Array | Uint32Array | undefined> {
  const dtype = inputs[0] instanceof Uint32Array ? 'u32' : 'f32'
  const operands = shapes.map(
    (shape, buffer): Operand => ({
      buffer,
      dtype: inputs[buffer] instanceof Int8Array ? 'i8' : inputs[buffer] instanceof Uint16Array ? 'bf16' : dtype,
      view: rowMajorView(shape),
    }),
  )
  const calls = [call(operands)]
  const ids = operands.map(({ buffer }) => buffer)
  const program: Program = {
    buffers: shapes.map((shape, id) => ({
      id,
      byteLength: sizeOf(shape) * formatOf(operands[id]!.dtype).bytes,
      role: id < inputs.length ? 'input' : 'output',
    })),
    calls,
    inputs: ids.slice(0, inputs.length),
    outputs: ids.slice(inputs.length),
    arenaBytes: 0,
  }
  const kernel = kernels.find(({ op }) => op === calls[0]!.op)
  if (!kernel) return undefined
  const selected = {
    program,
    calls: [{ call: calls[0]!, kernel, estimatedMicroseconds: 0 }],
  } as unknown as SelectedProgram<'wasm'>
  const buffers = program.buffers.map(({ byteLength }) => device.allocate(byteLength))
  inputs.forEach((values, i) => {
    device.write(buffers[i]!, new Uint8Array(values.buffer))
  })
  const executable = device.compile(selected)
  executable.run(buffers)
  const bytes = await device.read(buffers[inputs.length + output]!, expected.length * 4)
  executable.dispose()
  for (const buffer of buffers) device.free(buffer)
  return dtype === 'u32' ? new Uint32Array(bytes.buffer) : new Float32Array(bytes.buffer)
}
