import type { OpCall } from '@tessera/core'
import { foldWorkgroups } from '../../fused/groups.ts'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../program/contract.ts'
import { indented } from '../../wgsl/shader.ts'
import { type Matrix, Product, positionIn } from './matrices.ts'

/** Rows and columns of the result that a workgroup computes, and depth that it loads at a time. */
const tile = 64
const depth = 16
/** Length of a row of a tile in workgroup memory: not a multiple of 32, so that columns fall into different banks. */
const pitch = tile + 1
const workgroupSize = 256
const four = [0, 1, 2, 3] as const

/**
 * A workgroup loads tiles of both operands into its own memory, by fours along whichever axis they lie; each of its 16 × 16 invocations
 * computes 4 × 4 elements from there.
 */
export function planSharedTiles(
  call: OpCall<'matmul'>,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const product = new Product(call, environment, memory)
  const { shader, m, n, batches, enterBatch, number, quads } = product
  if (m === 0 || n === 0 || batches === 0) return { dispatches: [] }
  const [tilesM, tilesN] = [Math.ceil(m / tile), Math.ceil(n / tile)]
  const groups = batches * tilesM * tilesN
  const splits = product.split(groups, depth)
  const { workgroups, index } = foldWorkgroups(groups * splits, environment.limits, number)
  shader.declare(`var<workgroup> leftTile: array<f32, ${depth * pitch}>;`)
  shader.declare(`var<workgroup> rightTile: array<f32, ${depth * pitch}>;`)
  const body = [
    ...product.locate(index, tilesM * tilesN),
    `let firstRow = (inBatch / ${number(tilesN)}) * ${tile};`,
    `let firstColumn = (inBatch % ${number(tilesN)}) * ${tile};`,
    'let row = i32(local) / 16 * 4;',
    'let column = i32(local) % 16 * 4;',
    ...enterBatch,
    ...four.map((i) => `var sum${i} = vec4<f32>();`),
    `for (var start = depthStart; start < depthEnd; start += ${depth}) {`,
    ...indented([
      ...loadTile('left', product.a, 'aBatch', 'columns', { first: 'firstRow', count: number(m) }),
      ...loadTile('right', product.b, 'bBatch', 'rows', { first: 'firstColumn', count: number(n) }),
      'workgroupBarrier();',
      `for (var step = 0; step < ${depth * pitch}; step += ${pitch}) {`,
      `  let right = vec4<f32>(${four.map((j) => `rightTile[step + column + ${j}]`).join(', ')});`,
      ...four.map((i) => `  sum${i} += leftTile[step + row + ${i}] * right;`),
      '}',
      'workgroupBarrier();',
    ]),
    '}',
    `if (part >= ${number(splits)}) { return; }`,
    `var sums = array<vec4<f32>, 4>(${four.map((i) => `sum${i}`).join(', ')});`,
    `for (var i = 0; i < 4 && firstRow + row + i < ${number(m)}; i++) {`,
    ...indented(
      quads
        ? [
            `if (firstColumn + column < ${number(n)}) {`,
            `  ${product.store('firstRow + row + i', 'firstColumn + column', 'sums[i]')}`,
            '}',
          ]
        : [
            `for (var j = 0; j < 4 && firstColumn + column + j < ${number(n)}; j++) {`,
            `  ${product.store('firstRow + row + i', 'firstColumn + column + j', 'sums[i][j]')}`,
            '}',
          ],
    ),
    '}',
  ]
  return product.plan(shader.dispatch({ name: 'shared', body, workgroupSize, workgroups }))
}

/**
 * Statements by which the workgroup loads `tile` lines of an operand over `depth` steps, each invocation four elements. Elements outside the
 * operand are 0.
 *
 * @param depthAxis the operand's axis along the depth
 * @param lines where its other axis starts and ends
 */
function loadTile(
  name: 'left' | 'right',
  matrix: Matrix,
  batch: string,
  depthAxis: 'rows' | 'columns',
  lines: { readonly first: string; readonly count: string },
): string[] {
  const at = (line: string, step: string): string =>
    depthAxis === 'columns' ? positionIn(matrix, batch, line, step) : positionIn(matrix, batch, step, line)
  const alongDepth = matrix.quadAxis === undefined || matrix.quadAxis === depthAxis
  // Each invocation has four elements along the axis on which they stand together.
  const place = alongDepth
    ? [`let line = i32(local) / 4;`, `let step = i32(local) % 4 * 4;`]
    : [`let line = i32(local) % 16 * 4;`, `let step = i32(local) / 16;`]
  const slot = (i: number): string =>
    alongDepth ? `${name}Tile[(step + ${i}) * ${pitch} + line]` : `${name}Tile[step * ${pitch} + line + ${i}]`
  const element = (i: number): string =>
    alongDepth ? at('wholeLine', `wholeStep + ${i}`) : at(`wholeLine + ${i}`, 'wholeStep')
  const isInside = (i: number): string =>
    alongDepth
      ? `wholeLine < ${lines.count} && wholeStep + ${i} < depthEnd`
      : `wholeLine + ${i} < ${lines.count} && wholeStep < depthEnd`
  const single = four.flatMap((i) => [
    `var value${i} = 0.0f;`,
    `if (${isInside(i)}) { value${i} = ${matrix.access.load(element(i))}; }`,
    `${slot(i)} = value${i};`,
  ])
  return [
    '{',
    ...indented([
      ...place,
      `let wholeLine = ${lines.first} + line;`,
      'let wholeStep = start + step;',
      ...(matrix.quadAxis === undefined
        ? single
        : [
            `if (${isInside(3)}) {`,
            `  let quad = ${matrix.access.loadQuad(element(0), 1)};`,
            ...four.map((i) => `  ${slot(i)} = quad[${i}];`),
            '} else {',
            ...indented(single),
            '}',
          ]),
    ]),
    '}',
  ]
}
