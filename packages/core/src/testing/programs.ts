import { type DType, formatOf } from '../graph/format.ts'
import type {
  ElementwiseName,
  FusedBody,
  FusedInstruction,
  OpAttributes,
  OpName,
  ReduceName,
} from '../graph/operations.ts'
import { type Shape, sizeOf } from '../graph/shape.ts'
import { broadcastView, rowMajorView, type View } from '../graph/view.ts'
import type { OpCall, Operand, Program, ProgramBuffer } from '../schedule/program.ts'

const comparisons: ReadonlySet<ElementwiseName> = new Set(['equal', 'notEqual', 'less', 'lessEqual'])

/** An instruction of a body that is being built. */
export type BodyValue = number

/**
 * Builds the body of a `fused` call. Operands are broadcast to the domain: one with extent 1 where the domain has more
 * gets stride 0 there.
 */
export class BodyBuilder {
  readonly #domain: Shape
  readonly #instructions: FusedInstruction[] = []
  readonly #inputs: Operand[] = []
  readonly #outputs: Operand[] = []
  readonly #stores: number[] = []

  constructor(domain: Shape) {
    this.#domain = domain
  }

  load(operand: Operand): BodyValue {
    const known = this.#inputs.indexOf(operand)
    if (known < 0) this.#inputs.push(operand)
    return this.#push({ kind: 'load', input: known < 0 ? this.#inputs.length - 1 : known, dtype: operand.dtype })
  }

  constant(value: number, dtype: DType = 'f32'): BodyValue {
    return this.#push({ kind: 'constant', value, dtype })
  }

  /** `offset + Σ strides[axis] · index[axis]` */
  iota(strides: readonly number[], offset = 0, dtype: DType = 'i32'): BodyValue {
    return this.#push({ kind: 'iota', strides, offset, dtype })
  }

  /** The result has the format of the last argument, or `bool` for comparisons. */
  compute(op: Exclude<ElementwiseName, 'cast' | 'bitcast'>, ...operands: BodyValue[]): BodyValue {
    const dtype = comparisons.has(op) ? 'bool' : this.#instructions[operands.at(-1)!]!.dtype
    return this.#push({ kind: 'compute', op, arguments: operands, dtype })
  }

  cast(value: BodyValue, dtype: DType): BodyValue {
    return this.#push({ kind: 'compute', op: 'cast', arguments: [value], dtype })
  }

  bitcast(value: BodyValue, dtype: DType): BodyValue {
    return this.#push({ kind: 'compute', op: 'bitcast', arguments: [value], dtype })
  }

  reduce(op: ReduceName, argument: BodyValue): BodyValue {
    return this.#push({ kind: 'reduce', op, argument, dtype: this.#instructions[argument]!.dtype })
  }

  store(operand: Operand, value: BodyValue): void {
    this.#outputs.push(operand)
    this.#stores.push(value)
  }

  finish(loop: Pick<FusedBody, 'kind' | 'rowAxes' | 'reducedStart' | 'reducedEnd'>): OpCall<'fused'> {
    // Axes of extent 1 get stride 0, repeated or not: along them an operand does not vary.
    const over = (operand: Operand): Operand => {
      const { view } = operand
      const strides = view.strides.map((stride, axis) => (view.shape[axis] === 1 ? 0 : stride))
      return { ...operand, view: broadcastView({ ...view, strides }, this.#domain) }
    }
    return {
      op: 'fused',
      attributes: { ...loop, domain: this.#domain, instructions: this.#instructions, stores: this.#stores },
      inputs: this.#inputs.map(over),
      outputs: this.#outputs.map(over),
    }
  }

  #push(instruction: FusedInstruction): BodyValue {
    return this.#instructions.push(instruction) - 1
  }
}

/**
 * Writes programs by hand, for tests of kernels and backends.
 *
 * @example
 * ```ts
 * const program = new ProgramBuilder()
 * const x = program.input('f32', [4, 8])
 * const y = program.output('f32', [4, 8])
 * program.row([4, 8], 1, (body) => {
 *   const value = body.load(x)
 *   body.store(y, body.compute('subtract', value, body.reduce('reduceMaximum', value)))
 * })
 * const [result] = await referenceRun(program.build(), [new Float32Array(32)])
 * ```
 */
export class ProgramBuilder {
  readonly #buffers: ProgramBuffer[] = []
  readonly #sharing = new Map<number, number>()
  readonly #calls: OpCall[] = []

  /** A row-major tensor in a buffer of its own, bound when the program runs. */
  input(dtype: DType, shape: Shape): Operand {
    return this.#add('input', dtype, shape)
  }

  /** As `input`. `donatedFrom` is the input whose memory it takes over. */
  output(dtype: DType, shape: Shape, donatedFrom?: Operand): Operand {
    return this.#add('output', dtype, shape, donatedFrom === undefined ? {} : { donatedFrom: donatedFrom.buffer })
  }

  /** A tensor in the arena, at the place of `sharing` when that is given. */
  temporary(dtype: DType, shape: Shape, sharing?: Operand): Operand {
    const operand = this.#add('temporary', dtype, shape)
    if (sharing) this.#sharing.set(operand.buffer, sharing.buffer)
    return operand
  }

  call<Op extends OpName>(
    op: Op,
    attributes: OpAttributes[Op],
    inputs: readonly Operand[],
    outputs: readonly Operand[],
  ): void {
    this.#calls.push({ op, attributes, inputs, outputs })
  }

  /**
   * A call with an epilogue over the op's result, of shape `result`, which `write` gets as a value.
   *
   * @param rowAxes trailing axes that form a row, for an epilogue that reduces; 0: a map
   */
  callThen<Op extends OpName>(
    op: Op,
    attributes: OpAttributes[Op],
    inputs: readonly Operand[],
    result: { readonly shape: Shape; readonly dtype?: DType; readonly rowAxes?: number },
    write: (body: BodyBuilder, result: BodyValue) => void,
  ): void {
    const { shape, dtype = 'f32', rowAxes = 0 } = result
    const body = new BodyBuilder(shape)
    write(body, body.load({ buffer: -1, dtype, view: rowMajorView(shape) }))
    const kind = rowAxes > 0 ? 'row' : 'map'
    const loop = body.finish({ kind, rowAxes, reducedStart: 0, reducedEnd: 0 })
    this.#calls.push({
      op,
      attributes,
      inputs: [...inputs, ...loop.inputs.slice(1)],
      outputs: loop.outputs,
      epilogue: { result: { shape, dtype }, body: loop.attributes, firstInput: inputs.length },
    })
  }

  map(domain: Shape, write: (body: BodyBuilder) => void): void {
    this.#fused(domain, { kind: 'map', rowAxes: 0, reducedStart: 0, reducedEnd: 0 }, write)
  }

  /** The last `rowAxes` axes of the domain are the row. */
  row(domain: Shape, rowAxes: number, write: (body: BodyBuilder) => void): void {
    this.#fused(domain, { kind: 'row', rowAxes, reducedStart: 0, reducedEnd: 0 }, write)
  }

  /** Axes `[reducedStart, reducedEnd)` of the domain are reduced. */
  column(domain: Shape, reducedStart: number, reducedEnd: number, write: (body: BodyBuilder) => void): void {
    this.#fused(domain, { kind: 'column', rowAxes: 0, reducedStart, reducedEnd }, write)
  }

  /** @param alignment of temporaries in the arena, in bytes */
  build(alignment = 256): Program {
    let arenaBytes = 0
    const offsets = new Map<number, number>()
    const buffers = this.#buffers.map((buffer): ProgramBuffer => {
      if (buffer.role !== 'temporary') return buffer
      const shared = this.#sharing.get(buffer.id)
      const offset = shared === undefined ? arenaBytes : offsets.get(shared)!
      offsets.set(buffer.id, offset)
      arenaBytes = Math.max(arenaBytes, Math.ceil((offset + buffer.byteLength) / alignment) * alignment)
      return { ...buffer, offset }
    })
    const withRole = (role: ProgramBuffer['role']): number[] =>
      buffers.filter((buffer) => buffer.role === role).map((buffer) => buffer.id)
    return { buffers, calls: this.#calls, inputs: withRole('input'), outputs: withRole('output'), arenaBytes }
  }

  #add(role: ProgramBuffer['role'], dtype: DType, shape: Shape, rest: Partial<ProgramBuffer> = {}): Operand {
    const id = this.#buffers.length
    this.#buffers.push({ id, role, byteLength: sizeOf(shape) * formatOf(dtype).bytes, ...rest })
    return { buffer: id, dtype, view: rowMajorView(shape) }
  }

  #fused(
    domain: Shape,
    loop: Pick<FusedBody, 'kind' | 'rowAxes' | 'reducedStart' | 'reducedEnd'>,
    write: (body: BodyBuilder) => void,
  ): void {
    const body = new BodyBuilder(domain)
    write(body)
    this.#calls.push(body.finish(loop))
  }
}

/** The same buffer seen through another view. */
export const withView = (operand: Operand, change: (view: View) => View): Operand => ({
  ...operand,
  view: change(operand.view),
})
