import type { CallMemory, WebGpuDispatch, WebGpuEnvironment } from '../../../program/contract.ts'
import { indented } from '../../../wgsl/shader.ts'
import { HeadShader } from '../head-shader.ts'
import type { AttentionProblem } from '../problem.ts'

/** Rows and columns of the scores that a workgroup has at a time: 4 × 4 of them for each of its 8 × 8 invocations. */
const tile = 32
/** Quads of each row that are in workgroup memory at a time. */
const depth = 8
/** Quads from row to row of a tile, one more than there are, so that rows start in different banks. */
const pitch = depth + 1
const four = [0, 1, 2, 3] as const

/** Rows of an operand: of which tile `start` is the first (WGSL), out of how many. */
export interface RowRange {
  readonly name: string
  readonly start: 'firstRow' | 'firstColumn'
  readonly count: number
  readonly width: number
}

/**
 * A shader in which a workgroup has 32 rows (queries or keys) of one head and walks over the columns (keys or queries) by 32, as in FlashAttention (Dao et
 * al. 2022). An invocation has rows `rows[0..3]`, eight apart, and columns `firstColumn + lane + 8 j`. Scores are in vectors over its rows,
 * one for each of its columns.
 */
export class TileShader {
  readonly head: HeadShader
  readonly #rowsOfHead: number

  /**
   * @param rowsOfHead rows of each head
   * @param names operands that the shader uses
   * @param written those of them that it writes
   */
  constructor(
    problem: AttentionProblem,
    environment: WebGpuEnvironment,
    memory: CallMemory,
    rowsOfHead: number,
    names: readonly string[],
    written: readonly string[],
  ) {
    this.head = new HeadShader(problem, environment, memory, names, written)
    this.#rowsOfHead = rowsOfHead
    const { shader } = this.head
    for (const name of ['leftTile', 'rightTile', 'weightTile']) {
      shader.declare(`var<workgroup> ${name}: array<vec4<f32>, ${tile * pitch}>;`)
    }
  }

  /** A row's number for each of the four rows, those beyond the end repeating the last one. */
  loadRows(name: string): string {
    const last = `${this.head.number(this.#rowsOfHead)} - 1`
    return `vec4<f32>(${four.map((i) => this.head.loadOne(name, `min(rows[${i}], ${last})`)).join(', ')})`
  }

  /** A loop over tiles of columns. */
  overColumns(start: string, end: string, body: readonly string[]): string[] {
    return [`for (var firstColumn = ${start}; firstColumn < ${end}; firstColumn += ${tile}) {`, ...indented(body), '}']
  }

  /** Declares `prefix0` to `prefix3`: products of the tile's rows of `left` with its columns' rows of `right`. */
  scores(prefix: string, left: RowRange, right: RowRange): string[] {
    const quads = left.width / 4
    return [
      ...four.map((j) => `var ${prefix}${j} = vec4<f32>();`),
      `for (var quad = 0; quad < ${quads}; quad += ${depth}) {`,
      ...indented([
        'workgroupBarrier();',
        ...this.#stage('leftTile', left, 'quad'),
        ...this.#stage('rightTile', right, 'quad'),
        'workgroupBarrier();',
        `for (var k = 0; k < ${Math.min(depth, quads)}; k++) {`,
        ...indented([
          ...four.map((i) => `let left${i} = leftTile[(line + ${8 * i}) * ${pitch} + k];`),
          ...four.flatMap((j) => [
            `let right${j} = rightTile[(lane + ${8 * j}) * ${pitch} + k];`,
            `${prefix}${j} += vec4<f32>(${four.map((i) => `dot(left${i}, right${j})`).join(', ')});`,
          ]),
        ]),
        '}',
      ]),
      '}',
    ]
  }

  /** The number of the invocation's column `j`, from 0 to 3, among all columns. */
  column(j: number): string {
    return `(firstColumn + lane + ${8 * j})`
  }

  /** Where rows are queries and columns keys: whether each of the four queries sees the key of column `j`. */
  seesKey(j: number): string {
    const { keys } = this.head.problem
    return `(vec4<i32>${this.column(j)} <= rows + vec4<i32>(first)) & vec4<bool>(${this.column(j)} < ${this.head.number(keys)})`
  }

  /** Puts vectors `prefix0` to `prefix3` over rows, one for each column, where `accumulate` finds them. */
  share(prefix: string): string[] {
    return four.map((j) => `weightTile[(lane + ${8 * j}) * ${pitch} + line] = ${prefix}${j};`)
  }

  /** Names of the sums that `accumulate` adds to: for each of the four rows the quads `lane`, `lane + 8`, … */
  sums(prefix: string, width: number): string[] {
    return this.#stages(width).flatMap((stage) => four.map((i) => `${prefix}${i}s${stage}`))
  }

  /** Declares sums. */
  zeros(prefix: string, width: number): string[] {
    return this.sums(prefix, width).map((sum) => `var ${sum} = vec4<f32>();`)
  }

  /** Adds shared weights times the columns' rows of an operand to sums. */
  accumulate(prefix: string, right: RowRange): string[] {
    const stages = this.#stages(right.width)
    // Both tiles are free: two stages at a time.
    return stages
      .filter((stage) => stage % 2 === 0)
      .flatMap((first) => {
        const pair = stages.slice(first, first + 2)
        const tiles = ['leftTile', 'rightTile']
        return [
          'workgroupBarrier();',
          ...pair.flatMap((stage, i) => this.#stage(tiles[i]!, right, `${stage * depth}`)),
          'workgroupBarrier();',
          `for (var j = 0; j < ${tile}; j++) {`,
          ...indented([
            `let weights = weightTile[j * ${pitch} + line];`,
            ...pair.flatMap((stage, i) => [
              `let value${i} = ${tiles[i]}[j * ${pitch} + lane];`,
              ...four.map((row) => `${prefix}${row}s${stage} += weights[${row}] * value${i};`),
            ]),
          ]),
          '}',
        ]
      })
  }

  /** Stores sums, each times a factor of its row. */
  store(prefix: string, name: string, width: number, factor: (row: number) => string = () => ''): string[] {
    return four.flatMap((i) => [
      `if (rows[${i}] < ${this.head.number(this.#rowsOfHead)}) {`,
      ...indented(
        this.#stages(width).flatMap((stage) => [
          `if (lane + ${stage * depth} < ${width / 4}) {`,
          `  let stored = ${prefix}${i}s${stage}${factor(i)};`,
          ...indented(this.head.storeQuad(name, `rows[${i}]`, `lane + ${stage * depth}`, 'stored')),
          '}',
        ]),
      ),
      '}',
    ])
  }

  dispatch(name: string, body: readonly string[]): WebGpuDispatch {
    return this.head.dispatch(name, this.#rowsOfHead, tile, [
      'let line = i32(local) / 8;',
      'let lane = i32(local) % 8;',
      'let rows = vec4<i32>(firstRow + line) + vec4<i32>(0, 8, 16, 24);',
      ...body,
    ])
  }

  #stages(width: number): number[] {
    return Array.from({ length: Math.ceil(width / (4 * depth)) }, (_, stage) => stage)
  }

  /** Loads quads of 32 rows into workgroup memory, zeros beyond the end. */
  #stage(into: string, { name, start, count, width }: RowRange, firstQuad: string): string[] {
    const { head } = this
    return [
      `for (var slot = i32(local); slot < ${tile * depth}; slot += 64) {`,
      ...indented([
        `let row = ${start} + slot / ${depth};`,
        `let at = ${firstQuad} + slot % ${depth};`,
        'var quadOfRow = vec4<f32>();',
        `if (row < ${head.number(count)} && at < ${width / 4}) { quadOfRow = ${head.loadQuad(name, 'row', 'at')}; }`,
        `${into}[slot / ${depth} * ${pitch} + slot % ${depth}] = quadOfRow;`,
      ]),
      '}',
    ]
  }
}
