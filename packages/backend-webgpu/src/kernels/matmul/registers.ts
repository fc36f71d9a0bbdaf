import type { OpCall } from '@tessera/core'
import { foldWorkgroups } from '../../fused/groups.ts'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../program/contract.ts'
import { indented } from '../../wgsl/shader.ts'
import { type Matrix, Product, positionIn } from './matrices.ts'
import type { TiledResult } from './result.ts'

const parts = ['x', 'y', 'z', 'w'] as const
const four = [0, 1, 2, 3] as const

/**
 * Each invocation computes 8 × 8 elements of the result, or as many rows as there are. Accumulators are named vectors: compilers keep an array with
 * a loop index in memory. Operands are read by four along whichever axis they lie, and turned in registers, which costs nothing.
 */
export function planRegisterTiles(
  call: OpCall<'matmul'>,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const product = new Product(call, environment, memory)
  const { result, enterBatch } = product
  const { shader, number } = result
  const { m, n, k, batches } = result.sizes
  if (m === 0 || n === 0 || batches === 0) return { dispatches: [] }
  const rows = m <= 2 ? m : m <= 4 ? 4 : 8
  const columns = 8
  // Along the columns first: their tiles share rows of the left operand. No wider than the result, as invocations beyond it would idle.
  const [tall, wide] = m <= 8 ? [1, 64] : n <= 4 * columns ? [16, 4] : [4, 16]
  const [groupRows, groupColumns] = [rows * tall, columns * wide]
  const [tilesM, tilesN] = [Math.ceil(m / groupRows), Math.ceil(n / groupColumns)]
  const groups = batches * tilesM * tilesN
  const splits = result.split(groups, 4)
  const { workgroups, index } = foldWorkgroups(groups * splits, environment.limits, number)
  const each = Array.from({ length: rows }, (_, i) => i)
  const hasRest = k % 4 !== 0
  const body = [
    ...result.locate(index, tilesM * tilesN),
    `let row = (inBatch / ${number(tilesN)}) * ${groupRows} + i32(local) / ${wide} * ${rows};`,
    `let column = (inBatch % ${number(tilesN)}) * ${groupColumns} + i32(local) % ${wide} * ${columns};`,
    `if (part >= ${number(splits)} || row >= ${number(m)} || column >= ${number(n)}) { return; }`,
    ...enterBatch,
    ...each.flatMap((i) => [`var sum${i}l = vec4<f32>();`, `var sum${i}r = vec4<f32>();`]),
    ...startRows(product, rows),
    ...startColumns(product),
    // Parts begin at multiples of four.
    `for (var k = depthStart; k < ${hasRest ? '(depthEnd & -4)' : 'depthEnd'}; k += 4) {`,
    ...indented([
      ...loadLeft(product.a, rows),
      ...loadRight(product.b),
      ...four.flatMap((step) =>
        each.flatMap((i) => [
          `sum${i}l += a${i}.${parts[step]} * l${step};`,
          `sum${i}r += a${i}.${parts[step]} * r${step};`,
        ]),
      ),
    ]),
    '}',
    ...(hasRest
      ? ['for (var k = depthEnd & -4; k < depthEnd; k++) {', ...indented(restOfDepth(product, rows)), '}']
      : []),
    ...storeTile(result, rows),
  ]
  return result.plan(shader.dispatch({ name: 'registers', body, workgroupSize: 64, workgroups }))
}

/** Positions of the rows of the left operand. Rows beyond the last one repeat it; their results are not stored. */
function startRows({ a, result: { number, sizes } }: Product, rows: number): string[] {
  const last = `${number(sizes.m)} - 1`
  return Array.from(
    { length: rows },
    (_, i) => `let aRow${i} = ${positionIn(a, 'aBatch', i === 0 ? 'row' : `min(row + ${i}, ${last})`, '0')};`,
  )
}

/** Positions of the eight columns of the right operand, and of their two quads. */
function startColumns({ b, result: { number, sizes } }: Product): string[] {
  const clamp = (column: string): string => `min(${column}, ${number(sizes.n)} - 1)`
  return Array.from(
    { length: 8 },
    (_, j) => `let bColumn${j} = ${positionIn(b, 'bBatch', '0', j === 0 ? 'column' : clamp(`column + ${j}`))};`,
  )
}

/** `a0` to `a3`: four steps in depth of each row. */
function loadLeft(a: Matrix, rows: number): string[] {
  const each = Array.from({ length: rows }, (_, i) => i)
  if (a.quadAxis === 'columns') {
    return each.map((i) => `let a${i} = ${a.access.loadQuad(positionIn(a, `aRow${i}`, '0', 'k'), 1)};`)
  }
  if (a.quadAxis === 'rows' && rows % 4 === 0) {
    const quads = each.filter((i) => i % 4 === 0)
    return [
      ...quads.flatMap((i) =>
        four.map(
          (step) => `let t${i}${step} = ${a.access.loadQuad(positionIn(a, `aRow${i}`, '0', `k + ${step}`), 1)};`,
        ),
      ),
      ...each.map(
        (i) => `let a${i} = vec4<f32>(${four.map((step) => `t${i - (i % 4)}${step}.${parts[i % 4]}`).join(', ')});`,
      ),
    ]
  }
  return each.map((i) => {
    const loads = four.map((step) => a.access.load(positionIn(a, `aRow${i}`, '0', `k + ${step}`)))
    return `let a${i} = vec4<f32>(${loads.join(', ')});`
  })
}

/** `l0` to `l3` and `r0` to `r3`: the left and right four columns at each step in depth. */
function loadRight(b: Matrix): string[] {
  const sides = [
    ['l', 0],
    ['r', 4],
  ] as const
  if (b.quadAxis === 'rows') {
    return sides.flatMap(([side, first]) => [
      ...four.map(
        (j) => `let ${side}Turned${j} = ${b.access.loadQuad(positionIn(b, `bColumn${first + j}`, 'k', '0'), 1)};`,
      ),
      ...four.map(
        (step) => `let ${side}${step} = vec4<f32>(${four.map((j) => `${side}Turned${j}.${parts[step]}`).join(', ')});`,
      ),
    ])
  }
  return four.flatMap((step) =>
    sides.map(([side, first]) => `let ${side}${step} = ${rightQuad(b, first, `k + ${step}`)};`),
  )
}

/** Four columns at one step in depth. */
function rightQuad(b: Matrix, first: number, step: string): string {
  // A quad that begins inside a row of whole quads ends inside it; one that begins beyond the last column is the last one.
  if (b.quadAxis === 'columns') return b.access.loadQuad(positionIn(b, `(bColumn${first} & -4)`, step, '0'), 1)
  const loads = four.map((j) => b.access.load(positionIn(b, `bColumn${first + j}`, step, '0')))
  return `vec4<f32>(${loads.join(', ')})`
}

function restOfDepth({ a, b }: Product, rows: number): string[] {
  const single = (first: number): string =>
    `vec4<f32>(${four.map((j) => b.access.load(positionIn(b, `bColumn${first + j}`, 'k', '0'))).join(', ')})`
  return [
    `let l = ${single(0)};`,
    `let r = ${single(4)};`,
    ...Array.from({ length: rows }, (_, i) => i).flatMap((i) => [
      `let a${i} = ${a.access.load(positionIn(a, `aRow${i}`, '0', 'k'))};`,
      `sum${i}l += a${i} * l;`,
      `sum${i}r += a${i} * r;`,
    ]),
  ]
}

/**
 * Hands the tile of an invocation, `sum0l`, `sum0r`, …, at `row` and `column` to the epilogue, by fours where the result's rows consist of whole quads. In a loop: the epilogue may be long, and would
 * be compiled into each place that calls it.
 */
export function storeTile(result: TiledResult, rows: number): string[] {
  const { quads, number } = result
  const { m, n } = result.sizes
  const sums = Array.from({ length: rows }, (_, i) => `sum${i}l, sum${i}r`).join(', ')
  const store = quads
    ? [`if (place < ${number(n)}) { ${result.store('line', 'place', 'sums[i]')} }`]
    : [
        `for (var j = 0; j < 4 && place + j < ${number(n)}; j++) {`,
        `  ${result.store('line', 'place + j', 'sums[i][j]')}`,
        '}',
      ]
  return [
    `var sums = array<vec4<f32>, ${2 * rows}>(${sums});`,
    `for (var i = 0; i < ${2 * rows}; i++) {`,
    ...indented([
      'let line = row + i / 2;',
      'let place = column + (i & 1) * 4;',
      `if (line < ${number(m)}) {`,
      ...indented(store),
      '}',
    ]),
    '}',
  ]
}
