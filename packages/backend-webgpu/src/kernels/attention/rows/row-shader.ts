import type { CallMemory, WebGpuDispatch, WebGpuEnvironment } from '../../../program/contract.ts'
import { indented } from '../../../wgsl/shader.ts'
import { HeadShader, type HeadTurn } from '../head-shader.ts'
import type { AttentionProblem } from '../problem.ts'

/** Invocations of a workgroup. */
const invocations = 64

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

/** `prefix0 *= factor`, … */
export const scaleBy = (prefix: string, factor: string, width: number): string[] =>
  quadsOf(width).map((i) => `${prefix}${i} *= ${factor};`)

/** `prefix0`, …: a row of zeros, to add to. */
export const zeros = (prefix: string, width: number): string[] =>
  quadsOf(width).map((i) => `var ${prefix}${i} = vec4<f32>();`)

/**
 * A shader in which each invocation has two neighbouring rows of one head, if there are two, or one. They share what they read. Their registers are memory
 * where shaders run on the processor, which has that near. More rows would be faster still, but compile for a minute.
 */
export class RowShader {
  /** Numbers of the rows of an invocation. */
  readonly rows: readonly number[]
  readonly head: HeadShader
  readonly #rowsOfHead: number

  /**
   * @param rowsOfHead rows (queries or keys) of each head
   * @param names operands that the shader uses
   * @param written those of them that it writes
   * @param most rows of an invocation
   * @param turn which heads it takes; all of them unless told
   */
  constructor(
    problem: AttentionProblem,
    environment: WebGpuEnvironment,
    memory: CallMemory,
    rowsOfHead: number,
    names: readonly string[],
    written: readonly string[],
    most: 1 | 2 = 2,
    turn?: HeadTurn,
  ) {
    this.head = new HeadShader(problem, environment, memory, names, written, turn)
    this.#rowsOfHead = rowsOfHead
    this.rows = Array.from({ length: Math.min(most, rowsOfHead) }, (_, i) => i)
  }

  /** Declares `prefix0`, `prefix1`, …: the quads of a row. */
  loadRow(prefix: string, name: string, row: string, width: number): string[] {
    return quadsOf(width).map((i) => `let ${prefix}${i} = ${this.head.loadQuad(name, row, i)};`)
  }

  storeRow(prefix: string, name: string, row: string, width: number, factor = ''): string[] {
    return quadsOf(width).flatMap((i) => [
      `let ${prefix}Stored${i} = ${prefix}${i}${factor};`,
      ...this.head.storeQuad(name, row, i, `${prefix}Stored${i}`),
    ])
  }

  /**
   * @param body sees `row0`, …, of which those beyond the end repeat the last one
   * @param stored statements for one row, given its number, which follow `body` if there is such a row
   */
  dispatch(name: string, body: readonly string[], stored: (row: number) => readonly string[]): WebGpuDispatch {
    const { head, rows } = this
    const end = head.number(this.#rowsOfHead)
    const stores = rows.flatMap((r) =>
      r === 0 ? stored(r) : [`if (row0 + ${r} < ${end}) {`, ...indented(stored(r)), '}'],
    )
    return head.dispatch(name, this.#rowsOfHead, rows.length * invocations, [
      `let row0 = firstRow + i32(local) * ${rows.length};`,
      `if (row0 >= ${end}) { return; }`,
      ...rows.slice(1).map((r) => `let row${r} = min(row0 + ${r}, ${end} - 1);`),
      ...body,
      ...stores,
    ])
  }
}
