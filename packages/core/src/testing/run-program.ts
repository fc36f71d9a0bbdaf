import { TesseraError } from '../errors.ts'
import { type DType, formatOf, isFloat, type TypedArray } from '../graph/format.ts'
import type { Device, DeviceBuffer, Kernel, Limits, SelectedCall, SelectedProgram } from '../plugin/contract.ts'
import { allPositions, axisGroup } from '../run/reference/addressing.ts'
import { referenceBackend } from '../run/reference/backend.ts'
import { referenceKernels } from '../run/reference/kernels.ts'
import { decoderOf } from '../run/reference/numbers.ts'
import type { OpCall, Program } from '../schedule/program.ts'
import { assertClose, relativeRms, type Tolerance } from './assertions.ts'

/** The cheapest of some kernels for a call, or `undefined` where none takes it. */
export function cheapestKernel(
  call: OpCall,
  kernels: readonly Kernel[],
  backend: string,
  limits: Limits,
): SelectedCall | undefined {
  let best: SelectedCall | undefined
  for (const kernel of kernels) {
    if (kernel.backend !== backend || kernel.op !== call.op || (call.epilogue && !kernel.epilogues)) continue
    const cost = kernel.cost(call, limits)
    if (cost === undefined || (best && best.estimatedMicroseconds <= cost)) continue
    best = { call, kernel, estimatedMicroseconds: cost }
  }
  return best
}

/** Takes for each call the cheapest kernel of the backend whose op is the call's and whose cost is defined. */
export function selectKernels(
  program: Program,
  kernels: readonly Kernel[],
  backend: string,
  limits: Limits,
): SelectedProgram {
  const calls = program.calls.map((call, index): SelectedCall => {
    const best = cheapestKernel(call, kernels, backend, limits)
    if (best) return best
    throw new TesseraError(
      'NO_KERNEL',
      `No kernel of backend '${backend}' takes call ${index} (${call.op}): ${JSON.stringify(call)}.`,
    )
  })
  return { program, calls }
}

const bytesOf = (array: TypedArray): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)

/** What outputs hold before a run: bytes that no result is likely to equal, so that stray and missing writes show. */
export function untouchedBytes(byteLength: number): Uint8Array {
  return Uint8Array.from({ length: byteLength }, (_, i) => (i * 37 + 0xa5) & 0xff)
}

export interface RunResult {
  /** Whole buffers of the outputs after the run, and of the inputs, which must not have changed. */
  readonly outputs: readonly Uint8Array<ArrayBuffer>[]
  readonly inputs: readonly Uint8Array<ArrayBuffer>[]
}

/** Runs a program once on an open device. Every buffer is allocated, written, read back and freed. */
export async function runProgram(
  device: Device,
  kernels: readonly Kernel[],
  program: Program,
  inputs: readonly TypedArray[],
): Promise<RunResult> {
  const selected = selectKernels(program, kernels, device.backend, device.limits)
  const byId = new Map(program.buffers.map((buffer) => [buffer.id, buffer]))
  const buffers = new Map<number, DeviceBuffer>()
  const allocated: DeviceBuffer[] = []
  const bind = (id: number, bytes: Uint8Array): void => {
    const buffer = device.allocate(bytes.byteLength)
    allocated.push(buffer)
    device.write(buffer, bytes)
    buffers.set(id, buffer)
  }
  for (const [i, id] of program.inputs.entries()) bind(id, bytesOf(inputs[i]!))
  for (const id of program.outputs) {
    const { donatedFrom, byteLength } = byId.get(id)!
    if (donatedFrom === undefined) bind(id, untouchedBytes(byteLength))
    else buffers.set(id, buffers.get(donatedFrom)!)
  }
  const executable = device.compile(selected)
  try {
    executable.run([...program.inputs, ...program.outputs].map((id) => buffers.get(id)!))
    const read = (ids: readonly number[]): Promise<Uint8Array<ArrayBuffer>[]> =>
      Promise.all(ids.map((id) => device.read(buffers.get(id)!, byId.get(id)!.byteLength)))
    return { outputs: await read(program.outputs), inputs: await read(program.inputs) }
  } finally {
    executable.dispose()
    for (const buffer of allocated) device.free(buffer)
  }
}

/** The formats in which the calls of a program write its outputs. */
function outputFormats(program: Program): DType[] {
  const operands = program.calls.flatMap((call) => call.outputs)
  return program.outputs.map((id) => operands.find((operand) => operand.buffer === id)?.dtype ?? 'u8')
}

/** Bytes as an array of a format; a rest that makes no whole element is left out. */
const asArray = (dtype: DType, bytes: Uint8Array<ArrayBuffer>): TypedArray => {
  const { array, bytes: size } = formatOf(dtype)
  return new array(bytes.buffer, 0, Math.floor(bytes.byteLength / size))
}

/** Bytes as the numbers that they mean in a format. */
function asNumbers(dtype: DType, bytes: Uint8Array<ArrayBuffer>): ArrayLike<number> {
  const stored = asArray(dtype, bytes)
  const decode = decoderOf(dtype)
  return decode ? Float64Array.from(stored, decode) : stored
}

async function runOnReference(
  program: Program,
  inputs: readonly TypedArray[],
  kernels: readonly Kernel[] = referenceKernels,
): Promise<RunResult> {
  const device = referenceBackend.open()
  try {
    return await runProgram(device, kernels, program, inputs)
  } finally {
    await device.close()
  }
}

/**
 * Runs a program on the reference backend: the whole buffer of each output, in the format that the program writes it in.
 * Elements that no call writes hold arbitrary bytes.
 *
 * @param inputs contents of the input buffers, in the order of `program.inputs`
 */
export async function referenceRun(program: Program, inputs: readonly TypedArray[]): Promise<TypedArray[]> {
  const { outputs } = await runOnReference(program, inputs)
  const formats = outputFormats(program)
  return outputs.map((bytes, i) => asArray(formats[i]!, bytes))
}

/** Marks the elements of an output buffer that some call writes. */
function writtenElements(program: Program, id: number, count: number): Uint8Array {
  const written = new Uint8Array(count)
  for (const operand of program.calls.flatMap((call) => call.outputs)) {
    if (operand.buffer !== id) continue
    // What is the same along an axis is written once, also where the axis is empty: the identities of reductions.
    const { shape, strides, offset } = operand.view
    const once = { shape: shape.map((extent, axis) => (strides[axis] === 0 ? 1 : extent)), strides, offset }
    for (const position of allPositions(axisGroup(once, 0, shape.length))) written[offset + position] = 1
  }
  return written
}

export interface Comparison extends Tolerance {
  /** Largest relative root-mean-square error of an output; unlimited when absent. */
  readonly rms?: number
  readonly signedZero?: boolean
}

/**
 * Runs a program on a device and on the reference backend and compares: outputs within the tolerance, bytes that no call
 * writes and inputs exactly.
 *
 * @param reference kernels of the reference backend, where the program has other ops than the four that come with it
 */
export async function compareWithReference(
  device: Device,
  kernels: readonly Kernel[],
  program: Program,
  inputs: readonly TypedArray[],
  comparison: (dtype: DType) => Comparison,
  label: string,
  reference: readonly Kernel[] = referenceKernels,
): Promise<void> {
  const expected = await runOnReference(program, inputs, reference)
  const actual = await runProgram(device, kernels, program, inputs)
  outputFormats(program).forEach((dtype, i) => {
    const allowed = comparison(dtype)
    const [got, wanted] = [actual.outputs[i]!, expected.outputs[i]!]
    const name = `${label}, output ${i} (${dtype})`
    const written = writtenElements(program, program.outputs[i]!, Math.floor(got.byteLength / formatOf(dtype).bytes))
    assertUntouched(got, wanted, written, formatOf(dtype).bytes, name)
    const [numbers, reference] = [asNumbers(dtype, got), asNumbers(dtype, wanted)]
    const inView = (_: number, at: number): boolean => written[at] === 1
    const [left, right] = [Array.from(numbers).filter(inView), Array.from(reference).filter(inView)]
    assertClose(left, right, allowed, name)
    const error = relativeRms(left, right)
    if (isFloat(dtype) && allowed.rms !== undefined && !(error <= allowed.rms)) {
      throw new Error(
        `${name}: relative RMS error ${error.toPrecision(3)}, at most ${allowed.rms.toPrecision(3)} is allowed.`,
      )
    }
  })
  const donated = new Set(program.buffers.map((buffer) => buffer.donatedFrom))
  program.inputs.forEach((id, i) => {
    if (!donated.has(id))
      assertClose(actual.inputs[i]!, bytesOf(inputs[i]!), {}, `${label}, bytes of input ${i}, which is only read`)
  })
}

function assertUntouched(
  actual: Uint8Array,
  expected: Uint8Array,
  written: Uint8Array,
  elementBytes: number,
  label: string,
): void {
  for (let at = 0; at < expected.length; at++) {
    const element = Math.floor(at / elementBytes)
    if (written[element] === 1 || actual[at] === expected[at]) continue
    throw new Error(
      `${label}: element ${element} lies outside every view that the program writes, but byte ${at} changed.`,
    )
  }
}
