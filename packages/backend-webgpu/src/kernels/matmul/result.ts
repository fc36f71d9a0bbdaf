import type { OpCall } from '@tessera/core'
import { Finish } from '../../fused/finish.ts'
import { foldWorkgroups } from '../../fused/groups.ts'
import type {
  CallMemory,
  MemoryRange,
  WebGpuCallPlan,
  WebGpuDispatch,
  WebGpuEnvironment,
} from '../../program/contract.ts'
import { type AccessWish, Shader } from '../../wgsl/shader.ts'

/** Sizes of one product of matrices for each batch, `[M, K] × [K, N]`, and how its results fill the output. */
export interface ProductSizes {
  readonly m: number
  readonly n: number
  readonly k: number
  readonly batches: number
  /** So many neighbouring batches lie one below the other in the axis of rows. */
  readonly groups: number
  /** The output's axes of rows, from the first to the one after the last; those before are batches, those behind columns. */
  readonly rowAxes: readonly [number, number]
  /** False hands results over one by one. */
  readonly mayUseQuads: boolean
}

/** A product of matrices in the making: a shader that loads operands, sums over the depth, and finishes results. */
export class TiledResult {
  readonly shader: Shader
  readonly sizes: ProductSizes
  /** Whether results are handed over by fours. */
  readonly quads: boolean
  readonly #call: OpCall
  readonly #environment: WebGpuEnvironment
  readonly #memory: CallMemory
  readonly #finish: Finish
  /** Sums over parts of the depth, where several workgroups share it. */
  #partial: MemoryRange | undefined
  #splits = 1
  #depth = 0

  /** @param wishes operands that the shader loads */
  constructor(
    call: OpCall,
    environment: WebGpuEnvironment,
    memory: CallMemory,
    sizes: ProductSizes,
    wishes: readonly AccessWish[],
  ) {
    this.#call = call
    this.#environment = environment
    this.#memory = memory
    this.sizes = sizes
    this.#finish = new Finish(call, sizes.mayUseQuads)
    this.quads = this.#finish.quads
    this.shader = new Shader(environment, memory, [...wishes, ...this.#finish.wishes])
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
    const { m, n, k, batches } = this.sizes
    const { software } = this.#environment.features
    const wanted = Math.ceil((software ? 4 : 128) / Math.max(1, tiles))
    this.#splits = Math.max(1, Math.min(wanted, Math.floor(k / (software ? 256 : 64)), 32))
    if (this.#splits === 1) this.whole()
    else {
      this.#partial = this.#memory.scratch(4 * this.#splits * batches * m * n)
      const sums = this.shader.scratch(this.#partial, 'f32')
      const at = (column: string): string => `((outer * ${this.number(m)} + row) * ${this.number(n)} + ${column})`
      const stores = this.quads
        ? ['x', 'y', 'z', 'w'].map((part, j) => sums.store(at(`column + ${j}`), `value.${part}`))
        : [sums.store(at('column'), 'value')]
      this.shader.declare(
        `fn finish(outer: i32, row: i32, column: i32, value: ${this.quads ? 'vec4<f32>' : 'f32'}) {\n  ${stores.join('\n  ')}\n}`,
      )
    }
    const depth = Math.ceil(k / this.#splits / step) * step
    this.#depth = Math.max(step, depth)
    return this.#splits
  }

  /** Declares what `store` calls, where one workgroup takes the whole depth of a tile. */
  whole(): void {
    this.#finish.declare(this.shader, this.sizes.rowAxes)
  }

  /** Statements that declare `batch`, `inBatch` (the tile), `depthStart` and `depthEnd`. */
  locate(index: string, tiles: number): string[] {
    const number = this.number
    const { batches, k } = this.sizes
    return [
      `let block = ${index};`,
      `let slice = block / ${number(tiles)};`,
      `let inBatch = block % ${number(tiles)};`,
      `let batch = slice % ${number(batches)};`,
      `let part = slice / ${number(batches)};`,
      `let outer = part * ${number(batches)} + batch;`,
      `let depthStart = part * ${number(this.#depth)};`,
      `let depthEnd = min(depthStart + ${number(this.#depth)}, ${number(k)});`,
    ]
  }

  /** Hands over four results of a row, `column` being a multiple of four, or the one at `column`. */
  store(row: string, column: string, value: string): string {
    if (this.#splits > 1) return `finish(outer, ${row}, ${column}, ${value});`
    const { groups, m } = this.sizes
    if (groups === 1) return `finish(batch, ${row}, ${column}, ${value});`
    const [count, height] = [this.number(groups), this.number(m)]
    return `finish(batch / ${count}, (batch % ${count}) * ${height} + ${row}, ${column}, ${value});`
  }

  /** The plan: what comes before the product, the product itself, and what adds up its parts. */
  plan(product: WebGpuDispatch, before: readonly WebGpuDispatch[] = []): WebGpuCallPlan {
    return { dispatches: [...before, product, ...(this.#partial ? [this.#addUp(this.#partial)] : [])] }
  }

  #addUp(partial: MemoryRange): WebGpuDispatch {
    const { m, n, batches, groups, rowAxes, mayUseQuads } = this.sizes
    const finish = new Finish(this.#call, mayUseQuads)
    const shader = new Shader(this.#environment, this.#memory, finish.wishes)
    const number = (value: number): string => shader.number(value)
    const sums = shader.scratch(partial, 'f32')
    finish.declare(shader, rowAxes)
    const lanes = this.quads ? 4 : 1
    const size = batches * m * n
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
      `let row = first / ${number(n)};`,
      `finish(row / ${number(m * groups)}, row % ${number(m * groups)}, first % ${number(n)}, value);`,
    ]
    return shader.dispatch({ name: 'sum of parts', body, workgroupSize: 64, workgroups })
  }
}
