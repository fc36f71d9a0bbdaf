import type { CallMemory, MemoryRange, WebGpuDispatch, WebGpuEnvironment } from '@tessera/backend-webgpu'
import { type AccessWish, Finish, foldWorkgroups, indented, Shader } from '@tessera/backend-webgpu/kernel'
import type { OpCall, Operand } from '@tessera/core'
import { type Algorithm, taps } from '../algorithms.ts'
import type { LinearProgram } from '../generator/linear-program.ts'
import { gridOf } from '../layout.ts'
import { type Square, Statements, transformSquare } from './emit.ts'
import type { Problem, TileRange } from './problem.ts'

/** Where shaders run and where operands lie. */
export interface Place {
  readonly environment: WebGpuEnvironment
  readonly memory: CallMemory
}

/** α² matrices in memory, row-major, one for each product. */
export interface Matrices {
  readonly range: MemoryRange
  readonly rows: number
  /** Elements from one row to the next. */
  readonly pitch: number
}

/** Memory for so many matrices, whose rows are a multiple of four long. */
export function matricesIn({ memory }: Place, size: 4 | 6, rows: number, pitch: number): Matrices {
  return { range: memory.scratch(4 * size * size * rows * pitch), rows, pitch }
}

const workgroupSize = 64

/** Statements that begin an invocation for each of `count` points: `point`. */
function eachPoint(shader: Shader, count: number): { workgroups: WebGpuDispatch['workgroups']; lines: string[] } {
  const number = (value: number): string => shader.number(value)
  const { workgroups, index } = foldWorkgroups(Math.ceil(count / workgroupSize), shader.environment.limits, number)
  return {
    workgroups,
    lines: [`let point = ${index} * ${workgroupSize} + i32(local);`, `if (point >= ${number(count)}) { return; }`],
  }
}

/** Statements that store a square of values, each into the matrix of its product, at a row and column. */
function storeProducts(
  shader: Shader,
  { range, rows, pitch }: Matrices,
  size: number,
  values: Square,
  [row, column]: readonly [string, string],
): string[] {
  const number = (value: number): string => shader.number(value)
  const target = shader.scratch(range, 'f32')
  const lines = [`var into = ${row} * ${number(pitch)} + ${column};`]
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      lines.push(target.store('into', values(i, j)))
      if (i * size + j + 1 < size * size) lines.push(`into += ${number(rows * pitch)};`)
    }
  }
  return lines
}

/** Statements that load the results of all products at a row and column. */
function loadProducts(
  shader: Shader,
  { range, rows, pitch }: Matrices,
  size: number,
  [row, column]: readonly [string, string],
): { lines: string[]; values: Square } {
  const number = (value: number): string => shader.number(value)
  const source = shader.scratch(range, 'f32')
  const lines = [`var at = ${row} * ${number(pitch)} + ${column};`]
  const name: Square = (i, j) => `m${i}_${j}`
  for (let i = 0; i < size; i++) {
    for (let j = 0; j < size; j++) {
      lines.push(`let ${name(i, j)} = ${source.load('at')};`)
      if (i * size + j + 1 < size * size) lines.push(`at += ${number(rows * pitch)};`)
    }
  }
  return { lines, values: name }
}

/** Statements that take a tile apart: `image`, `tileY` and `tileX`. */
function locateTile({ layout }: Problem, { size }: Algorithm, number: (value: number) => string): string[] {
  const [gridY, gridX] = gridOf(layout.target, size)
  return [
    `let tileX = tile % ${number(gridX)};`,
    `let tileRow = tile / ${number(gridX)};`,
    `let tileY = tileRow % ${number(gridY)};`,
    `let image = tileRow / ${number(gridY)};`,
  ]
}

/** Filters become matrices `[channels, rows]`: rows of the results side by side. */
export function transformFilters(
  { op, layout, other }: Problem,
  algorithm: Algorithm,
  matrices: Matrices,
  { environment, memory }: Place,
): WebGpuDispatch {
  const wish: AccessWish = { operand: other, writes: false, quads: false }
  const shader = new Shader(environment, memory, [wish])
  const number = (value: number): string => shader.number(value)
  const access = shader.access(wish)
  const isTurned = op === 'convolutionBackwardInput'
  const [outer, inner, down, right] = other.view.strides as [number, number, number, number]
  const [rowStride, channelStride] = isTurned ? [inner, outer] : [outer, inner]
  const { workgroups, lines } = eachPoint(shader, layout.rows * layout.channels)
  const statements = new Statements()
  const loaded = Array.from({ length: taps * taps }, (_, tap) =>
    statements.declare(
      access.load(`(at + ${Math.floor(tap / taps)} * ${number(down)} + ${tap % taps} * ${number(right)})`),
    ),
  )
  const program = isTurned ? algorithm.turnedFilter : algorithm.filter
  const values = transformSquare(statements, program, (row, column) => loaded[row * taps + column]!)
  const body = [
    ...lines,
    `let row = point % ${number(layout.rows)};`,
    `let channel = point / ${number(layout.rows)};`,
    `let at = row * ${number(rowStride)} + channel * ${number(channelStride)};`,
    ...statements.lines,
    ...storeProducts(shader, matrices, algorithm.size, values, ['channel', 'row']),
  ]
  return shader.dispatch({ name: 'filters', body, workgroupSize, workgroups })
}

/** What tiles are cut from: planes of an operand, and where the first tile begins in them. */
interface Planes {
  readonly operand: Operand
  readonly channels: number
  readonly extents: readonly [height: number, width: number]
  readonly low: readonly [number, number]
}

/** Tiles become matrices `[channels, tiles]`, by `program`, whose inputs are the elements of a tile in each direction. Outside of the planes are zeros. */
function transformTiles(
  name: string,
  problem: Problem,
  algorithm: Algorithm,
  program: LinearProgram,
  { operand, channels, extents, low }: Planes,
  { first, count }: TileRange,
  matrices: Matrices,
  { environment, memory }: Place,
): WebGpuDispatch {
  const wish: AccessWish = { operand, writes: false, quads: false }
  const shader = new Shader(environment, memory, [wish])
  const number = (value: number): string => shader.number(value)
  const access = shader.access(wish)
  const { workgroups, lines } = eachPoint(shader, channels * count)
  const [imageStride, channelStride, ...strides] = operand.view.strides as [number, number, number, number]
  const sides = Array.from({ length: program.inputs }, (_, i) => i)
  // Comparing as unsigned numbers takes what is negative for too large.
  const axes = (['Y', 'X'] as const).flatMap((axis, i) => [
    `let begin${axis} = tile${axis} * ${algorithm.outputs} - ${number(low[i]!)};`,
    ...sides.flatMap((side) => [
      `let is${axis}${side} = u32(begin${axis} + ${side}) < u32(${number(extents[i]!)});`,
      `let at${axis}${side} = clamp(begin${axis} + ${side}, 0, ${number(extents[i]!)} - 1) * ${number(strides[i]!)};`,
    ]),
  ])
  const statements = new Statements()
  const loaded = sides.map((y) =>
    sides.map((x) =>
      statements.declare(`select(0.0f, ${access.load(`(plane + atY${y} + atX${x})`)}, isY${y} & isX${x})`),
    ),
  )
  const values = transformSquare(statements, program, (row, column) => loaded[row]![column]!)
  const body = [
    ...lines,
    `let column = point % ${number(count)};`,
    `let channel = point / ${number(count)};`,
    `let tile = ${shader.ownNumber(first)} + column;`,
    ...locateTile(problem, algorithm, number),
    `let plane = image * ${number(imageStride)} + channel * ${number(channelStride)};`,
    ...axes,
    ...statements.lines,
    ...storeProducts(shader, matrices, algorithm.size, values, ['channel', 'column']),
  ]
  return shader.dispatch({ name, body, workgroupSize, workgroups })
}

/** Tiles of the source, of α × α elements. */
export function transformSource(
  problem: Problem,
  algorithm: Algorithm,
  range: TileRange,
  matrices: Matrices,
  place: Place,
): WebGpuDispatch {
  const { channels, source, low } = problem.layout
  const planes = { operand: problem.source, channels, extents: source, low }
  return transformTiles('source tiles', problem, algorithm, algorithm.input, planes, range, matrices, place)
}

/** Tiles of the errors, of as many elements as a tile has outputs. */
export function transformErrors(
  problem: Problem,
  algorithm: Algorithm,
  range: TileRange,
  matrices: Matrices,
  place: Place,
): WebGpuDispatch {
  const { rows, target } = problem.layout
  const planes = { operand: problem.other, channels: rows, extents: target, low: [0, 0] } as const
  return transformTiles('error tiles', problem, algorithm, algorithm.error, planes, range, matrices, place)
}

/** Results of products `[rows, tiles]` become tiles of the result, which the call's epilogue follows. */
export function transformResults(
  call: OpCall,
  problem: Problem,
  algorithm: Algorithm,
  { first, count }: TileRange,
  matrices: Matrices,
  { environment, memory }: Place,
): WebGpuDispatch {
  const { size, outputs } = algorithm
  const { rows, target } = problem.layout
  // Rows of a tile begin at multiples of its outputs.
  const finish = new Finish(call, outputs % 4 === 0)
  const shader = new Shader(environment, memory, finish.wishes)
  const number = (value: number): string => shader.number(value)
  finish.declare(shader, [1, 2])
  const { workgroups, lines } = eachPoint(shader, rows * count)
  const results = loadProducts(shader, matrices, size, ['row', 'column'])
  const statements = new Statements()
  const values = transformSquare(statements, algorithm.output, results.values)
  const sides = Array.from({ length: outputs }, (_, i) => i)
  const entries = sides.map((y) => sides.map((x) => values(y, x)))
  const [height, width] = [number(target[0]), number(target[1])]
  // In a loop: the epilogue may be long, and would be compiled into each place that calls it.
  const stores = finish.quads
    ? [
        `var tileRows = array<vec4<f32>, 4>(${entries.map((entry) => `vec4<f32>(${entry.join(', ')})`).join(', ')});`,
        `for (var i = 0; i < 4 && atY + i < ${height}; i++) {`,
        `  finish(image, row, (atY + i) * ${width} + atX, tileRows[i]);`,
        '}',
      ]
    : [
        `var results = array<f32, ${outputs * outputs}>(${entries.flat().join(', ')});`,
        `for (var i = 0; i < ${outputs * outputs}; i++) {`,
        ...indented([
          `let y = atY + i / ${outputs};`,
          `let x = atX + i % ${outputs};`,
          `if ((y < ${height}) & (x < ${width})) { finish(image, row, y * ${width} + x, results[i]); }`,
        ]),
        '}',
      ]
  const body = [
    ...lines,
    `let column = point % ${number(count)};`,
    `let row = point / ${number(count)};`,
    `let tile = ${shader.ownNumber(first)} + column;`,
    ...locateTile(problem, algorithm, number),
    `let atY = tileY * ${outputs};`,
    `let atX = tileX * ${outputs};`,
    ...results.lines,
    ...statements.lines,
    ...stores,
  ]
  return shader.dispatch({ name: 'results', body, workgroupSize, workgroups })
}

/** Sums over tiles `[rows, channels]` become the gradient to the filters, which the call's epilogue follows. */
export function transformGradient(
  call: OpCall,
  { layout: { rows, channels } }: Problem,
  { size, filterGradient }: Algorithm,
  matrices: Matrices,
  { environment, memory }: Place,
): WebGpuDispatch {
  const finish = new Finish(call, false)
  const shader = new Shader(environment, memory, finish.wishes)
  const number = (value: number): string => shader.number(value)
  finish.declare(shader, [0, 1])
  const { workgroups, lines } = eachPoint(shader, rows * channels)
  const results = loadProducts(shader, matrices, size, ['row', 'channel'])
  const statements = new Statements()
  const values = transformSquare(statements, filterGradient, results.values)
  const entries = Array.from({ length: taps * taps }, (_, tap) => values(Math.floor(tap / taps), tap % taps))
  const body = [
    ...lines,
    `let channel = point % ${number(channels)};`,
    `let row = point / ${number(channels)};`,
    ...results.lines,
    ...statements.lines,
    `var results = array<f32, ${taps * taps}>(${entries.join(', ')});`,
    `for (var i = 0; i < ${taps * taps}; i++) { finish(0, row, channel * ${taps * taps} + i, results[i]); }`,
  ]
  return shader.dispatch({ name: 'filter gradient', body, workgroupSize, workgroups })
}
