import type { OpCall } from '@tessera/core'
import { foldWorkgroups } from '../../fused/groups.ts'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../program/contract.ts'
import { indented } from '../../wgsl/shader.ts'
import { type Matrix, Product, positionIn } from './matrices.ts'
import type { TiledResult } from './result.ts'

/** Rows and columns of the result that a workgroup computes, and depth that it loads at a time. */
const tile = 64
const depth = 16
/** Length of a row of a tile in workgroup memory: not a multiple of 32, so that columns fall into different banks. */
const pitch = tile + 1
const workgroupSize = 256
const four = [0, 1, 2, 3] as const

/** An operand of a product as its tiles are loaded: lines are rows of the left operand, or columns of the right one. */
export interface TileSource {
  /** Along what each invocation loads four neighbours: best that along which they stand together. */
  readonly neighbours: 'depth' | 'lines'
  /** The element of a line at a step in depth, both inside, as WGSL. */
  load(line: string, step: string): string
  /** Four neighbours at once, where they stand together. */
  loadQuad?(line: string, step: string): string
  /** Elements are halves, and the adapter has them: tiles take half of the memory, and sums stay f32. */
  readonly isHalf?: boolean
}

/**
 * A workgroup loads tiles of both operands into its own memory, by fours along whichever axis they lie; each of its 16 × 16 invocations
 * computes 4 × 4 elements from there.
 */
export function planSharedTiles(
  call: OpCall<'matmul'>,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const { result, a, b, enterBatch } = new Product(call, environment, memory)
  const { f16 } = environment.features
  const sources = { left: tilesOf(a, 'aBatch', 'columns', f16), right: tilesOf(b, 'bBatch', 'rows', f16) }
  return planTiles(result, sources, enterBatch, environment)
}

/** @param enterBatch statements that declare what the sources use of `batch` */
export function planTiles(
  result: TiledResult,
  sources: { readonly left: TileSource; readonly right: TileSource },
  enterBatch: readonly string[],
  environment: WebGpuEnvironment,
): WebGpuCallPlan {
  const { shader, number, quads } = result
  const { m, n, batches } = result.sizes
  if (m === 0 || n === 0 || batches === 0) return { dispatches: [] }
  const [tilesM, tilesN] = [Math.ceil(m / tile), Math.ceil(n / tile)]
  const groups = batches * tilesM * tilesN
  const splits = result.split(groups, depth)
  const { workgroups, index } = foldWorkgroups(groups * splits, environment.limits, number)
  for (const side of ['left', 'right'] as const) {
    shader.declare(`var<workgroup> ${side}Tile: array<${typeOf(sources[side])}, ${depth * pitch}>;`)
  }
  const body = [
    ...result.locate(index, tilesM * tilesN),
    `let firstRow = (inBatch / ${number(tilesN)}) * ${tile};`,
    `let firstColumn = (inBatch % ${number(tilesN)}) * ${tile};`,
    'let row = i32(local) / 16 * 4;',
    'let column = i32(local) % 16 * 4;',
    ...enterBatch,
    ...four.map((i) => `var sum${i} = vec4<f32>();`),
    `for (var start = depthStart; start < depthEnd; start += ${depth}) {`,
    ...indented([
      ...loadTile('left', sources.left, { first: 'firstRow', count: number(m) }),
      ...loadTile('right', sources.right, { first: 'firstColumn', count: number(n) }),
      'workgroupBarrier();',
      `for (var step = 0; step < ${depth * pitch}; step += ${pitch}) {`,
      `  let right = vec4<f32>(${four.map((j) => `f32(rightTile[step + column + ${j}])`).join(', ')});`,
      ...four.map((i) => `  sum${i} += f32(leftTile[step + row + ${i}]) * right;`),
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
            `  ${result.store('firstRow + row + i', 'firstColumn + column', 'sums[i]')}`,
            '}',
          ]
        : [
            `for (var j = 0; j < 4 && firstColumn + column + j < ${number(n)}; j++) {`,
            `  ${result.store('firstRow + row + i', 'firstColumn + column + j', 'sums[i][j]')}`,
            '}',
          ],
    ),
    '}',
  ]
  return result.plan(shader.dispatch({ name: 'shared', body, workgroupSize, workgroups }))
}

const typeOf = ({ isHalf }: TileSource): string => (isHalf ? 'f16' : 'f32')

/** @param depthAxis the matrix's axis along the depth */
function tilesOf(matrix: Matrix, batch: string, depthAxis: 'rows' | 'columns', f16: boolean): TileSource {
  const at = (line: string, step: string): string =>
    depthAxis === 'columns' ? positionIn(matrix, batch, line, step) : positionIn(matrix, batch, step, line)
  const { quadAxis, access } = matrix
  return {
    neighbours: quadAxis === undefined || quadAxis === depthAxis ? 'depth' : 'lines',
    load: (line, step) => access.load(at(line, step)),
    isHalf: f16 && access.operand.dtype === 'f16',
    ...(quadAxis && { loadQuad: (line, step) => access.loadQuad(at(line, step), 1) }),
  }
}

/**
 * Statements by which the workgroup loads `tile` lines of an operand over `depth` steps, each invocation four elements. Elements outside the
 * operand are 0.
 *
 * @param lines where the lines start and end
 */
function loadTile(
  name: 'left' | 'right',
  source: TileSource,
  lines: { readonly first: string; readonly count: string },
): string[] {
  const { neighbours, load, loadQuad } = source
  const type = typeOf(source)
  const alongDepth = neighbours === 'depth'
  const place = alongDepth
    ? [`let line = i32(local) / 4;`, `let step = i32(local) % 4 * 4;`]
    : [`let line = i32(local) % 16 * 4;`, `let step = i32(local) / 16;`]
  const slot = (i: number | string): string =>
    alongDepth ? `${name}Tile[(step + ${i}) * ${pitch} + line]` : `${name}Tile[step * ${pitch} + line + ${i}]`
  const element = (i: number | string): readonly [line: string, step: string] =>
    alongDepth ? ['wholeLine', `wholeStep + ${i}`] : [`wholeLine + ${i}`, 'wholeStep']
  const isInside = (i: number | string): string =>
    alongDepth
      ? `(wholeLine < ${lines.count}) & (wholeStep + ${i} < depthEnd)`
      : `(wholeLine + ${i} < ${lines.count}) & (wholeStep < depthEnd)`
  // A loop: `load` may be long, and would be compiled four times.
  const single = [
    'for (var i = 0; i < 4; i++) {',
    '  var value = 0.0f;',
    `  if (${isInside('i')}) { value = ${load(...element('i'))}; }`,
    `  ${slot('i')} = ${type}(value);`,
    '}',
  ]
  return [
    '{',
    ...indented([
      ...place,
      `let wholeLine = ${lines.first} + line;`,
      'let wholeStep = start + step;',
      ...(loadQuad === undefined
        ? single
        : [
            `if (${isInside(3)}) {`,
            `  let quad = ${loadQuad(...element(0))};`,
            ...four.map((i) => `  ${slot(i)} = ${type}(quad[${i}]);`),
            '} else {',
            ...indented(single),
            '}',
          ]),
    ]),
    '}',
  ]
}
