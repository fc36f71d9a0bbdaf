import type { OpCall, Operand, View } from '@tessera/core'
import { sizeOf } from '@tessera/core'
import { foldWorkgroups } from '../../fused/groups.ts'
import type { CallMemory, WebGpuDispatch, WebGpuEnvironment } from '../../program/contract.ts'
import { positionsOf } from '../../wgsl/indexing.ts'
import { type AccessWish, indented, Shader } from '../../wgsl/shader.ts'

/** Widest heads whose rows stay in registers. */
const mostWidth = 128
const workgroupSize = 64

/** Attention, forward or backward, with its operands by name. */
export interface AttentionProblem {
  readonly operands: Readonly<Record<string, Operand>>
  /** The position of the first query, where it is an operand. */
  readonly position: Operand | undefined
  readonly causal: boolean
  readonly scale: number
  readonly queries: number
  readonly keys: number
  readonly width: number
  readonly valueWidth: number
}

export function attentionProblem(
  call: OpCall<'attention'> | OpCall<'attentionBackward'>,
  others: readonly Operand[],
): AttentionProblem | undefined {
  const { inputs, outputs, attributes } = call
  const [query, key, value] = inputs
  const extra = call.op === 'attention' ? [] : ['logarithm', 'projection', 'gradient']
  const results = call.op === 'attention' ? ['output', 'logarithm'] : ['queryGradient', 'keyGradient', 'valueGradient']
  if (!query || !key || !value || inputs.length !== (attributes.offset ? 4 : 3) + extra.length) return undefined
  if (outputs.length !== results.length || inputs.some(({ view }) => !view)) return undefined
  const rows = [query, key, value, ...others]
  const position = attributes.offset ? inputs[3] : undefined
  const last = inputs.length - extra.length
  const problem = {
    operands: {
      query,
      key,
      value,
      ...Object.fromEntries(extra.map((name, i) => [name, inputs[last + i]!])),
      ...Object.fromEntries(results.map((name, i) => [name, outputs[i]!])),
    },
    position,
    causal: attributes.causal,
    scale: attributes.scale,
    queries: query.view.shape.at(-2) ?? 0,
    keys: key.view.shape.at(-2) ?? 0,
    width: query.view.shape.at(-1) ?? 0,
    valueWidth: value.view.shape.at(-1) ?? 0,
  }
  const { queries, keys, width, valueWidth, causal } = problem
  const fits =
    rows.every(({ dtype, view }) => dtype === 'f32' && view.shape.length >= 2 && sizeOf(view.shape) > 0) &&
    Object.values(problem.operands).every(({ dtype, view }) => dtype === 'f32' && sizeOf(view.shape) > 0) &&
    (!position || position.dtype === 'i32') &&
    [width, valueWidth].every((extent) => extent % 4 === 0 && extent <= mostWidth) &&
    // Every query sees a key.
    (!causal || position !== undefined || queries <= keys)
  return fits ? problem : undefined
}

/** Four neighbours along the last axis stand together, from multiples of four on. */
const inQuads = ({ strides, offset }: View): boolean =>
  strides.at(-1) === 1 && offset % 4 === 0 && strides.slice(0, -1).every((stride) => stride % 4 === 0)

/** Numbers of the quads of a row. */
const quadsOf = (width: number): readonly number[] => Array.from({ length: width / 4 }, (_, i) => i)

/** `dot(a0, b0) + dot(a1, b1) + …` of the quads of two rows. */
export const dotOf = (a: string, b: string, width: number): string =>
  quadsOf(width)
    .map((i) => `dot(${a}${i}, ${b}${i})`)
    .join(' + ')

/** `prefix0 += factor · row0`, … */
export const addTo = (prefix: string, factor: string, row: string, width: number): string[] =>
  quadsOf(width).map((i) => `${prefix}${i} += ${factor} * ${row}${i};`)

/** `prefix0`, …: a row of zeros, to add to. */
export const zeros = (prefix: string, width: number): string[] =>
  quadsOf(width).map((i) => `var ${prefix}${i} = vec4<f32>();`)

/** A shader in which each invocation has a few neighbouring rows (queries or keys) of one head. */
export class RowShader {
  readonly problem: AttentionProblem
  readonly shader: Shader
  /** Numbers of the rows of an invocation. */
  readonly rows: readonly number[]
  readonly #environment: WebGpuEnvironment
  readonly #names: readonly string[]
  readonly #wishes: ReadonlyMap<string, AccessWish>

  /**
   * @param names operands that the shader uses
   * @param written those of them that it writes
   * @param rows rows of one invocation
   */
  constructor(
    problem: AttentionProblem,
    environment: WebGpuEnvironment,
    memory: CallMemory,
    names: readonly string[],
    written: readonly string[],
    rows: number,
  ) {
    this.problem = problem
    this.rows = Array.from({ length: rows }, (_, i) => i)
    this.#environment = environment
    this.#names = names
    const wish = (name: string): AccessWish => {
      const operand = problem.operands[name]!
      const isRow = operand.view.shape.length === problem.operands.query!.view.shape.length
      return { operand, writes: written.includes(name), quads: isRow && inQuads(operand.view) }
    }
    const wishes = new Map(names.map((name) => [name, wish(name)]))
    if (problem.position) wishes.set('position', { operand: problem.position, writes: false, quads: false })
    this.#wishes = wishes
    this.shader = new Shader(environment, memory, [...wishes.values()])
  }

  readonly number = (value: number): string => this.shader.number(value)

  /** Position of row `row` of an operand. */
  at(name: string, row: string): string {
    const { view } = this.#wishes.get(name)!.operand
    const isRow = view.shape.length === this.problem.operands.query!.view.shape.length
    return `(${name}Head + (${row}) * ${this.number(view.strides.at(isRow ? -2 : -1)!)})`
  }

  /** Declares `prefix0`, `prefix1`, …: the quads of a row. */
  loadRow(prefix: string, name: string, row: string, width: number): string[] {
    return quadsOf(width).map((i) => `let ${prefix}${i} = ${this.#quad(name, row, i)};`)
  }

  storeRow(prefix: string, name: string, row: string, width: number, factor = ''): string[] {
    const { view } = this.#wishes.get(name)!.operand
    const stride = view.strides.at(-1)!
    return quadsOf(width).flatMap((i) => [
      `let ${prefix}Stored${i} = ${prefix}${i}${factor};`,
      ...this.#access(name).storeQuad(this.#along(name, row, i), stride, `${prefix}Stored${i}`),
    ])
  }

  loadOne(name: string, row: string): string {
    return this.#access(name).load(this.at(name, row))
  }

  storeOne(name: string, row: string, value: string): string[] {
    return this.#access(name).store(this.at(name, row), value)
  }

  /** Statements that declare `first`: key `j` is visible to query `i` if `j ≤ i + first`. */
  first(): string {
    const { problem } = this
    if (!problem.causal) return `let first = ${this.number(problem.keys)};`
    if (problem.position) return `let first = ${this.#access('position').load('0')};`
    return `let first = ${this.number(problem.keys)} - ${this.number(problem.queries)};`
  }

  /**
   * @param rows how many rows each head has; `body` sees `row0`, …, of which those beyond the end repeat the last one, and the operands' `Head`
   * positions
   * @param stored statements for one row, given its number, which follow `body` if there is such a row
   */
  dispatch(
    name: string,
    rows: number,
    body: readonly string[],
    stored: (row: number) => readonly string[],
  ): WebGpuDispatch {
    const { problem, number } = this
    const batch = problem.operands.query!.view.shape.slice(0, -2)
    const heads = sizeOf(batch)
    const count = this.rows.length
    const groups = Math.ceil(rows / (workgroupSize * count))
    const { workgroups, index } = foldWorkgroups(heads * groups, this.#environment.limits, number)
    const axes = batch.map((extent, axis) => ({
      extent,
      strides: this.#names.map((operand) => this.#wishes.get(operand)!.operand.view.strides[axis]!),
    }))
    const heading = [
      `let block = ${index};`,
      `let head = block / ${number(groups)};`,
      `let row0 = ((block % ${number(groups)}) * ${workgroupSize} + i32(local))${count === 1 ? '' : ` * ${count}`};`,
      `if (head >= ${number(heads)} || row0 >= ${number(rows)}) { return; }`,
      ...this.rows.slice(1).map((r) => `let row${r} = min(row0 + ${r}, ${number(rows)} - 1);`),
      ...positionsOf(
        'head',
        axes,
        this.#names.map((operand) => `${operand}Head`),
        number,
      ),
      this.first(),
    ]
    const stores = this.rows.flatMap((r) =>
      r === 0 ? stored(r) : [`if (row0 + ${r} < ${number(rows)}) {`, ...indented(stored(r)), '}'],
    )
    return this.shader.dispatch({ name, body: [...heading, ...body, ...stores], workgroupSize, workgroups })
  }

  #access(name: string) {
    return this.shader.access(this.#wishes.get(name)!)
  }

  #along(name: string, row: string, quad: number): string {
    const stride = this.#wishes.get(name)!.operand.view.strides.at(-1)!
    return quad === 0
      ? this.at(name, row)
      : `(${this.at(name, row)} + ${stride === 1 ? 4 * quad : `${4 * quad} * ${this.number(stride)}`})`
  }

  #quad(name: string, row: string, quad: number): string {
    return this.#access(name).loadQuad(
      this.#along(name, row, quad),
      this.#wishes.get(name)!.operand.view.strides.at(-1)!,
    )
  }
}
