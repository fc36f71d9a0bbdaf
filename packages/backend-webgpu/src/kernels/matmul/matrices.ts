import type { OpCall, Operand } from '@tessera/core'
import { sizeOf } from '@tessera/core'
import { Finish } from '../../fused/finish.ts'
import { foldWorkgroups } from '../../fused/groups.ts'
import type {
  CallMemory,
  MemoryRange,
  WebGpuCallPlan,
  WebGpuDispatch,
  WebGpuEnvironment,
} from '../../program/contract.ts'
import { positionsOf } from '../../wgsl/indexing.ts'
import { type Access, Shader } from '../../wgsl/shader.ts'

/** Along which of its two axes four neighbours of a matrix stand together, at positions that are multiples of four. */
export type QuadAxis = 'rows' | 'columns' | undefined

/** An operand of a product in a shader. */
export interface Matrix {
  readonly access: Access
  readonly quadAxis: QuadAxis
  /** How far apart rows and columns are, as WGSL. */
  readonly rowStride: string
  readonly columnStride: string
}

/** A product in the making: its sizes, its operands, and a shader that can load them and finish results. */
export class Product {
  readonly shader: Shader
  readonly a: Matrix
  readonly b: Matrix
  readonly m: number
  readonly n: number
  readonly k: number
  readonly batches: number
  /** Statements that declare `aBatch` and `bBatch`, the positions of the matrices of batch `batch`. */
  readonly enterBatch: readonly string[]
  /** Whether results are handed over by fours. */
  readonly quads: boolean
  readonly #call: OpCall<'matmul'>
  readonly #environment: WebGpuEnvironment
  readonly #memory: CallMemory
  readonly #finish: Finish
  /** Sums over parts of the depth, where several workgroups share it. */
  #partial: MemoryRange | undefined
  #splits = 1

  constructor(call: OpCall<'matmul'>, environment: WebGpuEnvironment, memory: CallMemory) {
    this.#call = call
    this.#environment = environment
    this.#memory = memory
    const [a, b] = call.inputs as readonly [Operand, Operand, ...Operand[]]
    const [m, k] = a.view.shape.slice(-2) as [number, number]
    const n = b.view.shape.at(-1)!
    this.#finish = new Finish(call)
    this.quads = this.#finish.quads
    const aAxis = quadAxisOf(a)
    const sides = [
      // Rows of the left operand are taken by fours, those of the right one along the depth.
      { operand: a, axis: aAxis === 'rows' && m % 4 !== 0 ? undefined : aAxis },
      { operand: b, axis: quadAxisOf(b) },
    ].map(({ operand, axis }) => ({ axis, wish: { operand, writes: false, quads: axis !== undefined } }))
    this.shader = new Shader(environment, memory, [...sides.map(({ wish }) => wish), ...this.#finish.wishes])
    const number = this.number
    const [left, right] = sides.map(({ axis, wish }): Matrix => {
      const [rowStride, columnStride] = wish.operand.view.strides.slice(-2) as [number, number]
      return {
        access: this.shader.access(wish),
        quadAxis: axis,
        rowStride: number(rowStride),
        columnStride: number(columnStride),
      }
    })
    this.a = left!
    this.b = right!
    this.m = m
    this.n = n
    this.k = k
    const batch = a.view.shape.slice(0, -2)
    this.batches = sizeOf(batch)
    const axes = batch.map((extent, axis) => ({ extent, strides: [a, b].map(({ view }) => view.strides[axis]!) }))
    this.enterBatch = positionsOf('batch', axes, ['aBatch', 'bBatch'], number)
  }

  readonly number = (value: number): string => this.shader.number(value)

  /**
   * Decides how many workgroups share the depth of one tile: several where there are few tiles and much depth. Declares what `store` calls.
   *
   * @param tiles tiles of the result, in all batches
   * @param step the depth of a workgroup is a multiple of it
   * @returns how many share it
   */
  split(tiles: number, step: number): number {
    const { software } = this.#environment.features
    const wanted = Math.ceil((software ? 4 : 128) / Math.max(1, tiles))
    this.#splits = Math.max(1, Math.min(wanted, Math.floor(this.k / (software ? 256 : 64)), 32))
    if (this.#splits === 1) this.#finish.declare(this.shader)
    else {
      this.#partial = this.#memory.scratch(4 * this.#splits * this.batches * this.m * this.n)
      const sums = this.shader.scratch(this.#partial, 'f32')
      const at = (column: string): string =>
        `((outer * ${this.number(this.m)} + row) * ${this.number(this.n)} + ${column})`
      const stores = this.quads
        ? ['x', 'y', 'z', 'w'].map((part, j) => sums.store(at(`column + ${j}`), `value.${part}`))
        : [sums.store(at('column'), 'value')]
      this.shader.declare(
        `fn finish(outer: i32, row: i32, column: i32, value: ${this.quads ? 'vec4<f32>' : 'f32'}) {\n  ${stores.join('\n  ')}\n}`,
      )
    }
    const depth = Math.ceil(this.k / this.#splits / step) * step
    this.#depth = Math.max(step, depth)
    return this.#splits
  }
  #depth = 0

  /** Statements that declare `batch`, `inBatch` (the tile), `depthStart` and `depthEnd`. */
  locate(index: string, tiles: number): string[] {
    const number = this.number
    return [
      `let block = ${index};`,
      `let slice = block / ${number(tiles)};`,
      `let inBatch = block % ${number(tiles)};`,
      `let batch = slice % ${number(this.batches)};`,
      `let part = slice / ${number(this.batches)};`,
      `let outer = part * ${number(this.batches)} + batch;`,
      `let depthStart = part * ${number(this.#depth)};`,
      `let depthEnd = min(depthStart + ${number(this.#depth)}, ${number(this.k)});`,
    ]
  }

  /** Hands over four results of a row, `column` being a multiple of four, or the one at `column`. */
  store(row: string, column: string, value: string): string {
    return `finish(${this.#splits === 1 ? 'batch' : 'outer'}, ${row}, ${column}, ${value});`
  }

  /** The plan: the product itself, and what adds up its parts. */
  plan(product: WebGpuDispatch): WebGpuCallPlan {
    return { dispatches: this.#partial ? [product, this.#addUp(this.#partial)] : [product] }
  }

  #addUp(partial: MemoryRange): WebGpuDispatch {
    const finish = new Finish(this.#call)
    const shader = new Shader(this.#environment, this.#memory, finish.wishes)
    const number = (value: number): string => shader.number(value)
    const sums = shader.scratch(partial, 'f32')
    finish.declare(shader)
    const lanes = this.quads ? 4 : 1
    const size = this.batches * this.m * this.n
    const { workgroups, index } = foldWorkgroups(Math.ceil(size / lanes / 64), this.#environment.limits, number)
    const at = (lane: number): string => sums.load(`(place${lane === 0 ? '' : ` + ${lane}`})`)
    const body = [
      `let first = (${index} * 64 + i32(local)) * ${lanes};`,
      `if (first >= ${number(size)}) { return; }`,
      `var value = ${lanes === 4 ? 'vec4<f32>()' : '0.0f'};`,
      `for (var part = 0; part < ${number(this.#splits)}; part++) {`,
      `  let place = part * ${number(size)} + first;`,
      `  value += ${lanes === 4 ? `vec4<f32>(${[0, 1, 2, 3].map(at).join(', ')})` : at(0)};`,
      '}',
      `let row = first / ${number(this.n)};`,
      `finish(row / ${number(this.m)}, row % ${number(this.m)}, first % ${number(this.n)}, value);`,
    ]
    return shader.dispatch({ name: 'sum of parts', body, workgroupSize: 64, workgroups })
  }
}

/** Four neighbours can be loaded together when they stand side by side and everything else moves by multiples of four. */
function quadAxisOf({ view }: Operand): QuadAxis {
  const { strides, offset } = view
  const [rowStride, columnStride] = strides.slice(-2) as [number, number]
  if (offset % 4 !== 0 || !strides.slice(0, -2).every((stride) => stride % 4 === 0)) return undefined
  if (columnStride === 1 && rowStride % 4 === 0) return 'columns'
  if (rowStride === 1 && columnStride % 4 === 0) return 'rows'
  return undefined
}

/** `start + row · rowStride + column · columnStride`. */
export function positionIn(matrix: Matrix, start: string, row: string, column: string): string {
  const term = (index: string, stride: string): string =>
    stride === '0' || index === '0' ? '' : ` + ${stride === '1' ? index : `(${index}) * ${stride}`}`
  return `(${start}${term(row, matrix.rowStride)}${term(column, matrix.columnStride)})`
}
