import type { OpCall, Operand } from '@tessera/core'
import { sizeOf } from '@tessera/core'
import type { CallMemory, WebGpuEnvironment } from '../../program/contract.ts'
import { positionsOf } from '../../wgsl/indexing.ts'
import type { Access } from '../../wgsl/shader.ts'
import { TiledResult } from './result.ts'

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

/** A product of two matrices in memory. */
export class Product {
  readonly result: TiledResult
  readonly a: Matrix
  readonly b: Matrix
  /** Statements that declare `aBatch` and `bBatch`, the positions of the matrices of batch `batch`. */
  readonly enterBatch: readonly string[]

  constructor(call: OpCall<'matmul'>, environment: WebGpuEnvironment, memory: CallMemory) {
    const [a, b] = call.inputs as readonly [Operand, Operand, ...Operand[]]
    const [m, k] = a.view.shape.slice(-2) as [number, number]
    const n = b.view.shape.at(-1)!
    const batch = a.view.shape.slice(0, -2)
    const aAxis = quadAxisOf(a)
    const sides = [
      // Rows of the left operand are taken by fours, those of the right one along the depth.
      { operand: a, axis: aAxis === 'rows' && m % 4 !== 0 ? undefined : aAxis },
      { operand: b, axis: quadAxisOf(b) },
    ].map(({ operand, axis }) => ({ axis, wish: { operand, writes: false, quads: axis !== undefined } }))
    const rowAxes = [batch.length, batch.length + 1] as const
    const sizes = { m, n, k, batches: sizeOf(batch), groups: 1, rowAxes, mayUseQuads: true }
    const wishes = sides.map(({ wish }) => wish)
    this.result = new TiledResult(call as unknown as OpCall, environment, memory, sizes, wishes)
    const { shader, number } = this.result
    const [left, right] = sides.map(({ axis, wish }): Matrix => {
      const [rowStride, columnStride] = wish.operand.view.strides.slice(-2) as [number, number]
      return {
        access: shader.access(wish),
        quadAxis: axis,
        rowStride: number(rowStride),
        columnStride: number(columnStride),
      }
    })
    this.a = left!
    this.b = right!
    const axes = batch.map((extent, axis) => ({ extent, strides: [a, b].map(({ view }) => view.strides[axis]!) }))
    this.enterBatch = positionsOf('batch', axes, ['aBatch', 'bBatch'], number)
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
