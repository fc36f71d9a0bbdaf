import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../program/contract.ts'
import { indented } from '../../wgsl/shader.ts'
import { type AttentionProblem, RowShader } from './problem.ts'

/** Below every score: what hidden keys get, and where the largest score starts. */
const lowest = '-3.0e38f'
const lanes = [0, 1, 2, 3] as const

/**
 * Each invocation has one query and walks over its keys, four at a time, with the largest score and the sum of exponentials so far (Milakov and
 * Gimelshein 2018); no score goes to memory. Neighbours read the same keys, which stay in the cache.
 */
export function planForward(
  problem: AttentionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const { keys, width, valueWidth, scale } = problem
  const names = ['query', 'key', 'value', 'output', 'logarithm']
  const shader = new RowShader(problem, environment, memory, names, ['output', 'logarithm'])
  const last = `${shader.number(keys)} - 1`
  const body = [
    ...shader.loadRow('q', 'query', 'row', width),
    ...shader.zeros('sum', valueWidth),
    `var largest = ${lowest};`,
    'var total = 0.0f;',
    `let end = min(${shader.number(keys)}, row + first + 1);`,
    'for (var j = 0; j < end; j += 4) {',
    ...indented([
      ...lanes.slice(1).map((i) => `let j${i} = min(j + ${i}, ${last});`),
      `let raw = vec4<f32>(${lanes.map((i) => shader.dot('q', 'key', i === 0 ? 'j' : `j${i}`, width)).join(', ')});`,
      `let isVisible = (vec4<i32>(j) + vec4<i32>(0, 1, 2, 3)) < vec4<i32>(end);`,
      `let scores = select(vec4<f32>(${lowest}), raw * ${scaleOf(scale)}, isVisible);`,
      'let next = max(largest, max(max(scores.x, scores.y), max(scores.z, scores.w)));',
      'let correction = expOf(largest - next);',
      'let weights = select(vec4<f32>(), expOf4(scores - vec4<f32>(next)), isVisible);',
      'largest = next;',
      'total = total * correction + ((weights.x + weights.y) + (weights.z + weights.w));',
      ...Array.from({ length: valueWidth / 4 }, (_, i) => `sum${i} *= correction;`),
      ...lanes.flatMap((i) => shader.addRow('sum', `weights[${i}]`, 'value', i === 0 ? 'j' : `j${i}`, valueWidth)),
    ]),
    '}',
    'let inverse = 1.0f / total;',
    ...shader.storeRow('sum', 'output', 'row', valueWidth, ' * inverse'),
    ...shader.storeOne('logarithm', 'row', '(largest + logOf(total))'),
  ]
  return { dispatches: [shader.dispatch('forward', problem.queries, body)] }
}

/** A factor that shapes of heads determine; few differ in one program. */
export const scaleOf = (scale: number): string => {
  const text = String(Math.fround(scale))
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`
}
