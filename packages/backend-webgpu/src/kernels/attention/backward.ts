import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../program/contract.ts'
import { indented } from '../../wgsl/shader.ts'
import { scaleOf } from './forward.ts'
import { type AttentionProblem, RowShader } from './problem.ts'

/**
 * Three dispatches, none of which adds to what another invocation adds to: for each query its gradient, walking over the keys; for each key its
 * gradient and that of its value, walking over the queries. Weights are computed again from the logarithms of the forward pass (Dao et al. 2022,
 * algorithm 4).
 */
export function planBackward(
  problem: AttentionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const open = (target: string, names: readonly string[]): RowShader =>
    new RowShader(problem, environment, memory, ['query', 'key', 'logarithm', ...names, target], [target])
  return {
    dispatches: [
      queryGradient(open('queryGradient', ['value', 'projection', 'gradient'])),
      keyGradient(open('keyGradient', ['value', 'projection', 'gradient'])),
      valueGradient(open('valueGradient', ['gradient'])),
    ],
  }
}

function queryGradient(shader: RowShader) {
  const { keys, queries, width, valueWidth, scale } = shader.problem
  const body = [
    ...shader.loadRow('q', 'query', 'row', width),
    ...shader.loadRow('g', 'gradient', 'row', valueWidth),
    `let logarithm = ${shader.loadOne('logarithm', 'row')};`,
    `let projection = ${shader.loadOne('projection', 'row')};`,
    ...shader.zeros('sum', width),
    `let end = min(${shader.number(keys)}, row + first + 1);`,
    'for (var j = 0; j < end; j++) {',
    ...indented([
      `let score = (${shader.dot('q', 'key', 'j', width)}) * ${scaleOf(scale)};`,
      'let weight = expOf(score - logarithm);',
      `let slope = weight * ((${shader.dot('g', 'value', 'j', valueWidth)}) - projection) * ${scaleOf(scale)};`,
      ...shader.addRow('sum', 'slope', 'key', 'j', width),
    ]),
    '}',
    ...shader.storeRow('sum', 'queryGradient', 'row', width),
  ]
  return shader.dispatch('gradient of queries', queries, body)
}

/** Statements around the queries that see the key of this invocation; they see `i` and its `weight`. */
function overQueries(shader: RowShader, statements: readonly string[]): string[] {
  const { queries, width, scale } = shader.problem
  return [
    `for (var i = max(0, row - first); i < ${shader.number(queries)}; i++) {`,
    ...indented([
      `let score = (${shader.dot('k', 'query', 'i', width)}) * ${scaleOf(scale)};`,
      `let weight = expOf(score - ${shader.loadOne('logarithm', 'i')});`,
      ...statements,
    ]),
    '}',
  ]
}

function keyGradient(shader: RowShader) {
  const { keys, width, valueWidth, scale } = shader.problem
  const slope = `weight * ((${shader.dot('v', 'gradient', 'i', valueWidth)}) - ${shader.loadOne('projection', 'i')}) * ${scaleOf(scale)}`
  const body = [
    ...shader.loadRow('k', 'key', 'row', width),
    ...shader.loadRow('v', 'value', 'row', valueWidth),
    ...shader.zeros('sum', width),
    ...overQueries(shader, [`let slope = ${slope};`, ...shader.addRow('sum', 'slope', 'query', 'i', width)]),
    ...shader.storeRow('sum', 'keyGradient', 'row', width),
  ]
  return shader.dispatch('gradient of keys', keys, body)
}

function valueGradient(shader: RowShader) {
  const { keys, width, valueWidth } = shader.problem
  const body = [
    ...shader.loadRow('k', 'key', 'row', width),
    ...shader.zeros('sum', valueWidth),
    ...overQueries(shader, shader.addRow('sum', 'weight', 'gradient', 'i', valueWidth)),
    ...shader.storeRow('sum', 'valueGradient', 'row', valueWidth),
  ]
  return shader.dispatch('gradient of values', keys, body)
}
