import { sizeOf, type View } from '@tessera/core'
import { foldWorkgroups } from '../../fused/groups.ts'
import type { CallMemory, WebGpuDispatch, WebGpuEnvironment } from '../../program/contract.ts'
import { positionsOf } from '../../wgsl/indexing.ts'
import { type Access, type AccessWish, Shader } from '../../wgsl/shader.ts'
import type { AttentionProblem } from './problem.ts'

const workgroupSize = 64

/** Four neighbours along the last axis stand together, from multiples of four on. */
const inQuads = ({ strides, offset }: View): boolean =>
  strides.at(-1) === 1 && offset % 4 === 0 && strides.slice(0, -1).every((stride) => stride % 4 === 0)

/** The heads of a batch from `first` on, every `step`-th. */
export interface HeadTurn {
  readonly first: number
  readonly step: number
}

/** A shader whose workgroups have a block of rows (queries or keys) of one head each. */
export class HeadShader {
  readonly problem: AttentionProblem
  readonly shader: Shader
  readonly #environment: WebGpuEnvironment
  readonly #turn: HeadTurn
  readonly #names: readonly string[]
  readonly #wishes: ReadonlyMap<string, AccessWish>

  /**
   * @param names operands that the shader uses
   * @param written those of them that it writes
   * @param turn which heads it takes; all of them unless told
   */
  constructor(
    problem: AttentionProblem,
    environment: WebGpuEnvironment,
    memory: CallMemory,
    names: readonly string[],
    written: readonly string[],
    turn: HeadTurn = { first: 0, step: 1 },
  ) {
    this.problem = problem
    this.#turn = turn
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

  loadOne(name: string, row: string): string {
    return this.#access(name).load(this.#at(name, row))
  }

  storeOne(name: string, row: string, value: string): string[] {
    return this.#access(name).store(this.#at(name, row), value)
  }

  /** Four neighbours of a row, `quad` (WGSL or a number) times four elements from its start. */
  loadQuad(name: string, row: string, quad: number | string): string {
    return this.#access(name).loadQuad(this.#along(name, row, quad), this.#stride(name))
  }

  storeQuad(name: string, row: string, quad: number | string, value: string): string[] {
    return this.#access(name).storeQuad(this.#along(name, row, quad), this.#stride(name), value)
  }

  /**
   * @param rows how many rows each head has
   * @param rowsOfGroup how many of them a workgroup has
   * @param body sees `firstRow`, that of the workgroup, and `first`: key `j` is visible to query `i` if `j ≤ i + first`
   */
  dispatch(name: string, rows: number, rowsOfGroup: number, body: readonly string[]): WebGpuDispatch {
    const { number } = this
    const { first, step } = this.#turn
    const shape = this.problem.operands.query!.view.shape
    // The last axis before the rows is that of heads.
    const headAxis = shape.length - 3
    const strideOf = (operand: string, axis: number): number => this.#wishes.get(operand)!.operand.view.strides[axis]!
    const batch = shape.slice(0, -2).map((extent, axis) => (axis === headAxis ? extent / step : extent))
    const heads = sizeOf(batch)
    const groups = Math.ceil(rows / rowsOfGroup)
    const { workgroups, index } = foldWorkgroups(heads * groups, this.#environment.limits, number)
    const axes = batch.map((extent, axis) => ({
      extent,
      strides: this.#names.map((operand) => strideOf(operand, axis) * (axis === headAxis ? step : 1)),
    }))
    const heading = [
      `let block = ${index};`,
      `let head = block / ${number(groups)};`,
      `if (head >= ${number(heads)}) { return; }`,
      `let firstRow = (block % ${number(groups)}) * ${rowsOfGroup};`,
      ...positionsOf(
        'head',
        axes,
        this.#names.map((operand) => `${operand}${step > 1 ? 'Turn' : 'Head'}`),
        number,
      ),
      ...(step > 1
        ? this.#names.map((operand) => {
            const offset = this.shader.ownNumber(first * strideOf(operand, headAxis))
            return `let ${operand}Head = ${operand}Turn + ${offset};`
          })
        : []),
      ...this.#first(),
    ]
    return this.shader.dispatch({ name, body: [...heading, ...body], workgroupSize, workgroups })
  }

  #first(): string[] {
    const { causal, position, keys, queries } = this.problem
    if (!causal) return [`let first = ${this.number(keys)};`]
    if (!position) return [`let first = ${this.number(keys)} - ${this.number(queries)};`]
    // Barriers stand in loops that depend on it: the compiler must know that the whole workgroup has the same.
    this.shader.declare('var<workgroup> sharedFirst: i32;')
    return [
      `if (local == 0u) { sharedFirst = ${this.#access('position').load('0')}; }`,
      'let first = workgroupUniformLoad(&sharedFirst);',
    ]
  }

  #access(name: string): Access {
    return this.shader.access(this.#wishes.get(name)!)
  }

  #stride(name: string): number {
    return this.#wishes.get(name)!.operand.view.strides.at(-1)!
  }

  /** Position of a row of an operand. */
  #at(name: string, row: string): string {
    const { view } = this.#wishes.get(name)!.operand
    const isRow = view.shape.length === this.problem.operands.query!.view.shape.length
    return `(${name}Head + (${row}) * ${this.number(view.strides.at(isRow ? -2 : -1)!)})`
  }

  #along(name: string, row: string, quad: number | string): string {
    if (quad === 0) return this.#at(name, row)
    const stride = this.#stride(name)
    const element = typeof quad === 'number' ? `${4 * quad}` : `4 * (${quad})`
    return `(${this.#at(name, row)} + ${stride === 1 ? element : `${element} * ${this.number(stride)}`})`
  }
}
