import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../../program/contract.ts'
import { type AttentionProblem, lowest, scaleOf } from '../problem.ts'
import { TileShader } from './tile-shader.ts'

const four = [0, 1, 2, 3] as const

/** A workgroup has 32 queries and walks over their keys by 32, with the largest score and the sum of exponentials of each query so far. */
export function planTileForward(
  problem: AttentionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const { queries, keys, width, valueWidth, scale } = problem
  const names = ['query', 'key', 'value', 'output', 'logarithm']
  const shader = new TileShader(problem, environment, memory, queries, names, ['output', 'logarithm'])
  const { head } = shader
  head.shader.declare('var<workgroup> ofLanes: array<vec4<f32>, 64>;')
  /** The largest or the sum of what the eight invocations with the same rows have. */
  const amongLanes = (into: string, own: string, join: (a: string, b: string) => string): string[] => [
    `ofLanes[line * 8 + lane] = ${own};`,
    'workgroupBarrier();',
    `for (var i = 0; i < 8; i++) { ${into} = ${join(into, 'ofLanes[line * 8 + i]')}; }`,
  ]
  const body = [
    ...shader.zeros('sum', valueWidth),
    `var largest = vec4<f32>(${lowest});`,
    'var total = vec4<f32>();',
    ...shader.overColumns('0', `min(${head.number(keys)}, firstRow + 32 + first)`, [
      ...shader.scores(
        'score',
        { name: 'query', start: 'firstRow', count: queries, width },
        { name: 'key', start: 'firstColumn', count: keys, width },
      ),
      ...four.flatMap((j) => [
        `let isVisible${j} = ${shader.seesKey(j)};`,
        `score${j} = select(vec4<f32>(${lowest}), score${j} * ${scaleOf(scale)}, isVisible${j});`,
      ]),
      'var next = largest;',
      ...amongLanes('next', 'max(max(score0, score1), max(score2, score3))', (a, b) => `max(${a}, ${b})`),
      'let correction = expOf4(largest - next);',
      'largest = next;',
      ...four.map((j) => `let weight${j} = select(vec4<f32>(), expOf4(score${j} - next), isVisible${j});`),
      'total = total * correction + ((weight0 + weight1) + (weight2 + weight3));',
      ...shader.share('weight'),
      ...shader.sums('sum', valueWidth).map((sum, i) => `${sum} *= correction[${i % 4}];`),
      ...shader.accumulate('sum', { name: 'value', start: 'firstColumn', count: keys, width: valueWidth }),
    ]),
    'workgroupBarrier();',
    'var whole = vec4<f32>();',
    ...amongLanes('whole', 'total', (a, b) => `${a} + ${b}`),
    'let inverse = vec4<f32>(1) / whole;',
    ...shader.store('sum', 'output', valueWidth, (row) => ` * inverse[${row}]`),
    ...four.flatMap((i) => [
      `if (lane == 0 && rows[${i}] < ${head.number(queries)}) {`,
      ...head.storeOne('logarithm', `rows[${i}]`, `(largest[${i}] + logOf(whole[${i}]))`),
      '}',
    ]),
  ]
  return { dispatches: [shader.dispatch('forward', body)] }
}
