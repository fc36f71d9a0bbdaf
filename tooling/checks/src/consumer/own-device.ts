/**
 * A backend of someone else with a device of its own, written from CONTRIBUTING.md and the declarations of the packed packages alone: float32 arithmetic in
 * plain JavaScript, one buffer of bytes for each tensor. The shortest way through the contract, not a fast one.
 */
import {
  type Backend,
  createRuntime,
  type Device,
  type DeviceBuffer,
  type DType,
  type Executable,
  type FusedBody,
  type FusedInstruction,
  type Kernel,
  type Limits,
  type OpCall,
  type Operand,
  type SelectedProgram,
  TesseraError,
  tensor,
} from '@tessera/core'
import { collectTests, failuresOf, opTests, testBackend, testOp } from '@tessera/core/testing'

/** What its kernels build: a step that finds the arrays of the call's operands, inputs before outputs. */
type Step = (arrays: readonly Numbers[]) => void
type Numbers = Float32Array | Int32Array | Uint32Array | Uint8Array

declare module '@tessera/core' {
  interface BackendPrograms {
    ownDevice: Step
  }
}

const arrays: Partial<
  Record<DType, { readonly BYTES_PER_ELEMENT: number; new (b: ArrayBuffer, o: number, n: number): Numbers }>
> = { f32: Float32Array, i32: Int32Array, u32: Uint32Array, bool: Uint8Array }

/** Every position of a view in row-major order of its indices. */
function positions({ view: { shape, strides, offset } }: Operand): number[] {
  return shape.reduce<number[]>(
    (starts, extent, axis) =>
      starts.flatMap((start) => Array.from({ length: extent }, (_, i) => start + i * strides[axis]!)),
    [offset],
  )
}

const computes = (call: OpCall): boolean =>
  !call.epilogue && [...call.inputs, ...call.outputs].every(({ dtype }) => dtype in arrays)

// -- Elementwise ops -------------------------------------------------------------------------------------------------------------

const bitsOf = (value: number, dtype: DType): DataView => {
  const view = new DataView(new ArrayBuffer(4))
  if (dtype === 'f32') view.setFloat32(0, value)
  else view.setUint32(0, value >>> 0)
  return view
}

/** A value as a format holds it. Integers wrap, casts of floats to integers saturate: see docs/number-formats.md. */
function held(value: number, dtype: DType): number {
  if (dtype === 'f32') return Math.fround(value)
  if (dtype === 'bool') return Number(value !== 0)
  return dtype === 'i32' ? value | 0 : value >>> 0
}

function castTo(value: number, from: DType, to: DType): number {
  if (from !== 'f32' || to === 'f32' || to === 'bool') return held(value, to)
  if (Number.isNaN(value)) return 0
  const [low, high] = to === 'i32' ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1]
  return Math.trunc(Math.min(high, Math.max(low, value)))
}

function erf(x: number): number {
  // Abramowitz & Stegun 7.1.5 and 7.1.14, enough for float32.
  const a = Math.abs(x)
  if (Number.isNaN(x)) return x
  if (a > 6) return Math.sign(x)
  let [term, sum] = [a, a]
  for (let n = 1; n < 120; n++) {
    term *= (-a * a) / n
    sum += term / (2 * n + 1)
  }
  if (a < 3) return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI)
  let fraction = a
  for (let k = 60; k > 0; k--) fraction = a + k / 2 / fraction
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * fraction))
}

function roundEven(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  if (!Number.isFinite(x)) return x
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0)
  return up ? floor + 1 : Object.is(floor, 0) && x < 0 ? -0 : floor
}

type Compute = (values: readonly number[], dtype: DType, from: DType) => number

const ofFloatOrInteger =
  (float: (a: number, b: number) => number, integer: (a: number, b: number) => number): Compute =>
  ([a, b], dtype) =>
    dtype === 'f32' ? float(a!, b!) : b === 0 ? 0 : integer(a!, b!)
const one =
  (compute: (x: number) => number): Compute =>
  ([x]) =>
    compute(x!)
const two =
  (compute: (a: number, b: number) => number): Compute =>
  ([a, b]) =>
    compute(a!, b!)

const elementwise: Readonly<Record<string, Compute>> = {
  negate: one((x) => -x),
  absolute: one(Math.abs),
  sign: one(Math.sign),
  floor: one(Math.floor),
  ceil: one(Math.ceil),
  round: one(roundEven),
  squareRoot: one(Math.sqrt),
  reciprocal: one((x) => 1 / x),
  exp: one(Math.exp),
  expm1: one(Math.expm1),
  log: one(Math.log),
  log1p: one(Math.log1p),
  sin: one(Math.sin),
  cos: one(Math.cos),
  tanh: one(Math.tanh),
  erf: one(erf),
  not: ([x], dtype) => (dtype === 'bool' ? Number(x === 0) : ~x!),
  add: two((a, b) => a + b),
  subtract: two((a, b) => a - b),
  multiply: ([a, b], dtype) => (dtype === 'f32' ? a! * b! : Math.imul(a!, b!)),
  divide: ofFloatOrInteger(
    (a, b) => a / b,
    (a, b) => Math.trunc(a / b),
  ),
  remainder: ofFloatOrInteger(
    (a, b) => a % b,
    (a, b) => a % b,
  ),
  power: two((a, b) => (a === 1 || (a === -1 && Math.abs(b) === Number.POSITIVE_INFINITY) ? 1 : a ** b)),
  minimum: two(Math.min),
  maximum: two(Math.max),
  equal: two((a, b) => Number(a === b)),
  notEqual: two((a, b) => Number(a !== b)),
  less: two((a, b) => Number(a < b)),
  lessEqual: two((a, b) => Number(a <= b)),
  and: two((a, b) => a & b),
  or: two((a, b) => a | b),
  xor: two((a, b) => a ^ b),
  shiftLeft: two((a, b) => a << b),
  shiftRight: ([a, b], dtype) => (dtype === 'u32' ? a! >>> b! : a! >> b!),
  where: ([condition, a, b]) => (condition ? a! : b!),
  cast: ([x], dtype, from) => castTo(x!, from, dtype),
  bitcast: ([x], dtype, from) => {
    const bits = bitsOf(x!, from)
    return dtype === 'f32' ? bits.getFloat32(0) : dtype === 'i32' ? bits.getInt32(0) : bits.getUint32(0)
  },
}

const reductions: Readonly<Record<string, readonly [start: number, combine: Compute]>> = {
  reduceSum: [0, elementwise.add!],
  reduceProduct: [1, elementwise.multiply!],
  reduceMaximum: [Number.NEGATIVE_INFINITY, elementwise.maximum!],
  reduceMinimum: [Number.POSITIVE_INFINITY, elementwise.minimum!],
}

// -- The four kernels ------------------------------------------------------------------------------------------------------------

/** The axes that a body reduces. */
const reduced = ({
  kind,
  domain,
  rowAxes,
  reducedStart,
  reducedEnd,
}: FusedBody): readonly [first: number, end: number] =>
  kind === 'row' ? [domain.length - rowAxes, domain.length] : [reducedStart, reducedEnd]

/** The domain with at least one point for each result of a reduction, even over nothing. */
function points(body: FusedBody): number[] {
  const [first, end] = reduced(body)
  return body.domain.map((extent, axis) => (axis >= first && axis < end ? Math.max(1, extent) : extent))
}

/** An operand of the body, with the indices of its points. */
const overPoints = (operand: Operand, body: FusedBody): number[] =>
  positions({ ...operand, view: { ...operand.view, shape: points(body) } })

/** All values of an instruction at once, one for each point; a reduction repeats its result over what it reduced. */
function evaluate(
  body: FusedBody,
  instruction: FusedInstruction,
  known: readonly number[][],
  loads: readonly number[][],
) {
  const domain = points(body)
  const count = domain.reduce((product, extent) => product * extent, 1)
  const indexed = (strides: readonly number[], offset: number) =>
    positions({ buffer: 0, dtype: 'i32', view: { shape: domain, strides, offset } })
  if (instruction.kind === 'load') return loads[instruction.input]!
  if (instruction.kind === 'constant') return new Array<number>(count).fill(held(instruction.value, instruction.dtype))
  if (instruction.kind === 'iota')
    return indexed(instruction.strides, instruction.offset).map((value) => held(value, instruction.dtype))
  if (instruction.kind === 'compute') {
    const { op, dtype } = instruction
    const from = body.instructions[instruction.arguments[0]!]!.dtype
    const compute = elementwise[op]!
    return Array.from({ length: count }, (_, i) =>
      held(
        compute(
          instruction.arguments.map((k) => known[k]![i]!),
          dtype,
          from,
        ),
        dtype,
      ),
    )
  }
  const [first, end] = reduced(body)
  const { dtype } = instruction
  const strides = domain.map((_, axis) =>
    axis >= first && axis < end ? 0 : domain.slice(axis + 1).reduce((a, b) => a * b, 1),
  )
  const groups = indexed(strides, 0)
  const [start, combine] = reductions[instruction.op]!
  const isEmpty = body.domain.slice(first, end).includes(0)
  const results = new Map<number, number>()
  // Summed in float64: rounding each partial sum to float32 would be too coarse for long rows.
  groups.forEach((group, i) => {
    const before = results.get(group) ?? start
    results.set(group, isEmpty ? start : combine([before, known[instruction.argument]![i]!], dtype, dtype))
  })
  return groups.map((group) => held(results.get(group)!, dtype))
}

const fused: Kernel<'fused', 'ownDevice'> = {
  name: 'own-device/fused',
  op: 'fused',
  backend: 'ownDevice',
  tolerance: 1e-5,
  layouts: 'any',
  cost: (call) =>
    computes(call) && call.attributes.instructions.every(({ dtype }) => dtype in arrays) ? 1 : undefined,
  build: ({ attributes: body, inputs, outputs }) => {
    const [reads, writes] = [inputs, outputs].map((list) => list.map((operand) => overPoints(operand, body))) as [
      number[][],
      number[][],
    ]
    return (operands) => {
      const loads = reads.map((places, k) => places.map((place) => operands[k]![place] ?? 0))
      const known: number[][] = []
      for (const instruction of body.instructions) known.push(evaluate(body, instruction, known, loads))
      body.stores.forEach((source, k) => {
        const target = operands[inputs.length + k]!
        writes[k]!.forEach((place, i) => {
          target[place] = known[source]![i]!
        })
      })
    }
  },
}

const matmul: Kernel<'matmul', 'ownDevice'> = {
  name: 'own-device/matmul',
  op: 'matmul',
  backend: 'ownDevice',
  tolerance: 1e-6,
  layouts: 'any',
  cost: (call) => (computes(call) ? 1 : undefined),
  build: ({ inputs: [a, b], outputs: [c] }) => {
    const [m, k] = a!.view.shape.slice(-2) as [number, number]
    const n = b!.view.shape.at(-1)!
    const [left, right, target] = [positions(a!), positions(b!), positions(c!)]
    return ([x, y, z]) => {
      target.forEach((place, i) => {
        const [batch, row, column] = [Math.floor(i / (m * n)), Math.floor(i / n) % m, i % n]
        let sum = 0
        for (let d = 0; d < k; d++)
          sum += x![left[(batch * m + row) * k + d]!]! * y![right[(batch * k + d) * n + column]!]!
        z![place] = sum
      })
    }
  },
}

/** Positions of `source` that belong to each index: before, at and after the axis. */
function around(shape: readonly number[], axis: number): readonly [before: number, extent: number, after: number] {
  const size = (part: readonly number[]) => part.reduce((product, extent) => product * extent, 1)
  return [size(shape.slice(0, axis)), shape[axis]!, size(shape.slice(axis + 1))]
}

const gather: Kernel<'gather', 'ownDevice'> = {
  name: 'own-device/gather',
  op: 'gather',
  backend: 'ownDevice',
  tolerance: 0,
  layouts: 'any',
  cost: (call) => (computes(call) ? 1 : undefined),
  build: ({ attributes: { axis }, inputs: [source, indices], outputs: [result] }) => {
    const [, extent, after] = around(source!.view.shape, axis)
    const [from, which, to] = [positions(source!), positions(indices!), positions(result!)]
    return ([x, index, y]) => {
      to.forEach((place, i) => {
        const [before, rest] = [Math.floor(i / (which.length * after)), i % (which.length * after)]
        const wanted = index![which[Math.floor(rest / after)]!]!
        const at = Math.min(Math.max(wanted, 0), extent - 1)
        y![place] = x![from[(before * extent + at) * after + (rest % after)]!]!
      })
    }
  },
}

const scatter: Kernel<'scatter', 'ownDevice'> = {
  name: 'own-device/scatter',
  op: 'scatter',
  backend: 'ownDevice',
  tolerance: 1e-6,
  layouts: 'any',
  cost: (call) => (computes(call) ? 1 : undefined),
  build: ({ attributes: { axis, mode }, inputs: [base, indices, updates], outputs: [result] }) => {
    const [, extent, after] = around(base!.view.shape, axis)
    const [from, which, given, to] = [base!, indices!, updates!, result!].map(positions) as [
      number[],
      number[],
      number[],
      number[],
    ]
    return ([x, index, y, z]) => {
      // The result may be the very memory of the base.
      const values = from.map((place) => x![place]!)
      given.forEach((place, i) => {
        const [before, rest] = [Math.floor(i / (which.length * after)), i % (which.length * after)]
        const at = index![which[Math.floor(rest / after)]!]!
        if (at < 0 || at >= extent) return
        const target = (before * extent + at) * after + (rest % after)
        values[target] = held(mode === 'set' ? y![place]! : values[target]! + y![place]!, base!.dtype)
      })
      to.forEach((place, i) => {
        z![place] = values[i]!
      })
    }
  },
}

// -- The device ------------------------------------------------------------------------------------------------------------------

interface Block extends DeviceBuffer {
  bytes: ArrayBuffer | undefined
}

class OwnDevice implements Device<'ownDevice'> {
  readonly backend = 'ownDevice'
  readonly variant = 'plain'
  readonly threads = 1
  readonly limits: Limits = {
    gigaflops: 0.01,
    gigabytesPerSecond: 0.1,
    microsecondsPerCall: 10,
    alignment: 8,
    maximumBufferBytes: 2 ** 30,
    maximumOperands: 64,
  }
  #used = 0
  #peak = 0
  #isOpen = true

  memory() {
    return { usedBytes: this.#used, peakBytes: this.#peak }
  }

  #requireOpen(what: string): void {
    if (!this.#isOpen)
      throw new TesseraError('CLOSED', `own-device: ${what}: the device is closed. Open a new runtime.`)
  }

  #bytesOf(buffer: DeviceBuffer, what: string): ArrayBuffer {
    this.#requireOpen(what)
    const { bytes } = buffer as Block
    if (!bytes) throw new TesseraError('FREED', `own-device: ${what}: the buffer has been freed.`)
    return bytes
  }

  allocate(byteLength: number): DeviceBuffer {
    this.#requireOpen('allocate')
    if (!Number.isInteger(byteLength) || byteLength < 0 || byteLength > this.limits.maximumBufferBytes)
      throw new TesseraError('MEMORY', `own-device: cannot allocate ${byteLength} bytes.`)
    this.#used += byteLength
    this.#peak = Math.max(this.#peak, this.#used)
    const block: Block = { byteLength, bytes: new ArrayBuffer(Math.ceil(byteLength / 8) * 8) }
    return block
  }

  free(buffer: DeviceBuffer): void {
    this.#bytesOf(buffer, 'free')
    this.#used -= buffer.byteLength
    ;(buffer as Block).bytes = undefined
  }

  write(buffer: DeviceBuffer, bytes: Uint8Array): void {
    const memory = this.#bytesOf(buffer, 'write')
    if (bytes.length > buffer.byteLength)
      throw new TesseraError(
        'MEMORY',
        `own-device: write: ${bytes.length} bytes into a buffer of ${buffer.byteLength}.`,
      )
    new Uint8Array(memory).set(bytes)
  }

  async read(buffer: DeviceBuffer, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    const memory = this.#bytesOf(buffer, 'read')
    if (byteLength > buffer.byteLength)
      throw new TesseraError('MEMORY', `own-device: read: ${byteLength} bytes of a buffer of ${buffer.byteLength}.`)
    return new Uint8Array(memory.slice(0, byteLength))
  }

  compile({ program, calls }: SelectedProgram<'ownDevice'>): Executable {
    this.#requireOpen('compile')
    const steps = calls.map(({ call, kernel }) => ({ call, step: kernel.build(call, this.limits) }))
    const arena = new ArrayBuffer(Math.ceil(program.arenaBytes / 8) * 8)
    const bound = [...program.inputs, ...program.outputs]
    const prepare = (buffers: readonly DeviceBuffer[]) => {
      if (buffers.length !== bound.length)
        throw new TesseraError('BUFFERS', `own-device: run: takes ${bound.length} buffers, got ${buffers.length}.`)
      const memory = new Map<number, readonly [ArrayBuffer, number]>()
      bound.forEach((id, i) => {
        const { byteLength } = program.buffers[id]!
        if (buffers[i]!.byteLength < byteLength)
          throw new TesseraError(
            'BUFFERS',
            `own-device: run: buffer ${i} has ${buffers[i]!.byteLength} bytes, ${byteLength} are needed.`,
          )
        memory.set(id, [this.#bytesOf(buffers[i]!, 'run'), 0])
      })
      for (const { id, role, offset } of program.buffers) if (role === 'temporary') memory.set(id, [arena, offset!])
      return ({ call, step }: (typeof steps)[number]) => {
        step(
          [...call.inputs, ...call.outputs].map(({ buffer, dtype }) => {
            const [bytes, offset] = memory.get(buffer)!
            const array = arrays[dtype]!
            return new array(bytes, offset, Math.floor(program.buffers[buffer]!.byteLength / array.BYTES_PER_ELEMENT))
          }),
        )
      }
    }
    return {
      run: (buffers) => steps.forEach(prepare(buffers)),
      profile: async (buffers) => {
        const run = prepare(buffers)
        return steps.map((step) => {
          const start = performance.now()
          run(step)
          return (performance.now() - start) * 1000
        })
      },
      dispose: () => {},
    }
  }

  async synchronize(): Promise<void> {}

  async close(): Promise<void> {
    this.#isOpen = false
    this.#used = 0
  }
}

const backend: Backend<'ownDevice'> = { name: 'ownDevice', open: () => new OwnDevice() }
const kernels: readonly Kernel[] = [fused, matmul, gather, scatter]
const plugin = { name: 'own-device', apiVersion: 1, backends: [backend], kernels } as const

const runtime = await createRuntime({ use: [plugin] })
if ((await tensor([1, 2, 3]).softmax().sum().item()) !== 1) throw new Error('softmax does not sum to 1')
await runtime.close()

const formats = ['f32', 'i32', 'u32', 'bool'] as const
const tests = collectTests((run) => {
  testBackend({ backend, kernels, run, capabilities: { formats } })
  testOp({ ops: opTests, use: [plugin], run, formats, extent: 'values', drawn: 2 })
})
const failures = await failuresOf(tests)
if (tests.length < 500 || failures.size > 0)
  throw new Error(
    `${failures.size} of ${tests.length} tests fail: ${[...failures].slice(0, 12).map(([name, text]) => `\n${name}: ${text}`)}`,
  )
