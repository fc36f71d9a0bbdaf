import type { CallMemory, WebGpuCallPlan, WebGpuDispatch, WebGpuEnvironment } from '../../../program/contract.ts'
import { type AttentionProblem, scaleOf } from '../problem.ts'
import { type RowRange, TileShader } from './tile-shader.ts'

const four = [0, 1, 2, 3] as const

/**
 * Two dispatches, neither of which adds to what another workgroup adds to: for 32 queries their gradient, walking over the keys; for 32 keys their gradient
 * and that of their values, walking over the queries. Weights are computed again from the logarithms of the forward pass (Dao et al. 2022,
 * algorithm 4).
 */
export function planTileBackward(
  problem: AttentionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const open = (rows: number, targets: readonly string[]): TileShader => {
    const names = ['query', 'key', 'value', 'logarithm', 'projection', 'gradient', ...targets]
    return new TileShader(problem, environment, memory, rows, names, targets)
  }
  return {
    dispatches: [
      queryGradient(open(problem.queries, ['queryGradient'])),
      keyGradients(open(problem.keys, ['keyGradient', 'valueGradient'])),
    ],
  }
}

/** Operands of a shader whose rows are queries and columns keys, or the other way round. */
function ranges({ queries, keys, width, valueWidth }: AttentionProblem, rows: 'queries' | 'keys') {
  const ofQueries = { start: rows === 'queries' ? 'firstRow' : 'firstColumn', count: queries } as const
  const ofKeys = { start: rows === 'keys' ? 'firstRow' : 'firstColumn', count: keys } as const
  return {
    query: { name: 'query', ...ofQueries, width },
    gradient: { name: 'gradient', ...ofQueries, width: valueWidth },
    key: { name: 'key', ...ofKeys, width },
    value: { name: 'value', ...ofKeys, width: valueWidth },
  } satisfies Record<string, RowRange>
}

function queryGradient(shader: TileShader): WebGpuDispatch {
  const { head } = shader
  const { keys, width, scale } = head.problem
  const { query, key, value, gradient } = ranges(head.problem, 'queries')
  return shader.dispatch('gradient of queries', [
    ...shader.zeros('sum', width),
    `let logarithms = ${shader.loadRows('logarithm')};`,
    `let projections = ${shader.loadRows('projection')};`,
    ...shader.overColumns('0', `min(${head.number(keys)}, firstRow + 32 + first)`, [
      ...shader.scores('score', query, key),
      ...shader.scores('slope', gradient, value),
      ...four.flatMap((j) => [
        `let isVisible${j} = ${shader.seesKey(j)};`,
        `let weight${j} = select(vec4<f32>(), expOf4(score${j} * ${scaleOf(scale)} - logarithms), isVisible${j});`,
        `slope${j} = weight${j} * (slope${j} - projections) * ${scaleOf(scale)};`,
      ]),
      ...shader.share('slope'),
      ...shader.accumulate('sum', key),
    ]),
    ...shader.store('sum', 'queryGradient', width),
  ])
}

function keyGradients(shader: TileShader): WebGpuDispatch {
  const { head } = shader
  const { queries, width, valueWidth, scale } = head.problem
  const { query, key, value, gradient } = ranges(head.problem, 'keys')
  return shader.dispatch('gradients of keys and values', [
    ...shader.zeros('keySum', width),
    ...shader.zeros('valueSum', valueWidth),
    ...shader.overColumns('max(0, firstRow - first) / 32 * 32', head.number(queries), [
      ...shader.scores('score', key, query),
      ...four.flatMap((j) => [
        `let query${j} = min(${shader.column(j)}, ${head.number(queries)} - 1);`,
        `let isVisible${j} = (rows <= vec4<i32>(query${j} + first)) & vec4<bool>(query${j} == ${shader.column(j)});`,
        `let logarithm${j} = vec4<f32>(${head.loadOne('logarithm', `query${j}`)});`,
        `let weight${j} = select(vec4<f32>(), expOf4(score${j} * ${scaleOf(scale)} - logarithm${j}), isVisible${j});`,
      ]),
      ...shader.share('weight'),
      ...shader.accumulate('valueSum', gradient),
      ...shader.scores('slope', value, gradient),
      ...four.map(
        (j) =>
          `slope${j} = weight${j} * (slope${j} - vec4<f32>(${head.loadOne('projection', `query${j}`)})) * ${scaleOf(scale)};`,
      ),
      ...shader.share('slope'),
      ...shader.accumulate('keySum', query),
    ]),
    ...shader.store('keySum', 'keyGradient', width),
    ...shader.store('valueSum', 'valueGradient', valueWidth),
  ])
}
