import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../program/contract.ts'
import { indented } from '../../wgsl/shader.ts'
import { type AttentionProblem, addTo, dotOf, RowShader, zeros } from './problem.ts'

/** Below every score: what hidden keys get, and where the largest score starts. */
const lowest = '-3.0e38f'
const lanes = [0, 1, 2, 3] as const

/**
 * Each invocation has a few queries and walks over their keys, four at a time, with the largest score and the sum of exponentials of each so far (Milakov
 * and Gimelshein 2018); no score goes to memory. Neighbours read the same keys, which stay in the cache.
 */
export function planForward(
  problem: AttentionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const { queries, keys, width, valueWidth, scale } = problem
  const names = ['query', 'key', 'value', 'output', 'logarithm']
  const rows = rowsOfInvocation(queries, environment)
  const shader = new RowShader(problem, environment, memory, names, ['output', 'logarithm'], rows)
  const last = `${shader.number(keys)} - 1`
  const dots = (query: string): string => lanes.map((i) => dotOf(query, `k${i}q`, width)).join(', ')
  const body = [
    ...shader.rows.flatMap((r) => [
      ...shader.loadRow(`q${r}q`, 'query', `row${r}`, width),
      ...zeros(`sum${r}q`, valueWidth),
      `var largest${r} = ${lowest};`,
      `var total${r} = 0.0f;`,
      `let end${r} = min(${shader.number(keys)}, row${r} + first + 1);`,
    ]),
    // Later queries see no fewer keys.
    `for (var j = 0; j < end${rows - 1}; j += 4) {`,
    ...indented([
      'let lane = vec4<i32>(j) + vec4<i32>(0, 1, 2, 3);',
      ...lanes.flatMap((i) => shader.loadRow(`k${i}q`, 'key', i === 0 ? 'j' : `min(j + ${i}, ${last})`, width)),
      ...shader.rows.flatMap((r) => [
        `let isVisible${r} = lane < vec4<i32>(end${r});`,
        `let scores${r} = select(vec4<f32>(${lowest}), vec4<f32>(${dots(`q${r}q`)}) * ${scaleOf(scale)}, isVisible${r});`,
        `let next${r} = max(largest${r}, max(max(scores${r}.x, scores${r}.y), max(scores${r}.z, scores${r}.w)));`,
        `let correction${r} = expOf(largest${r} - next${r});`,
        `let weights${r} = select(vec4<f32>(), expOf4(scores${r} - vec4<f32>(next${r})), isVisible${r});`,
        `largest${r} = next${r};`,
        `total${r} = total${r} * correction${r} + ((weights${r}.x + weights${r}.y) + (weights${r}.z + weights${r}.w));`,
        ...Array.from({ length: valueWidth / 4 }, (_, i) => `sum${r}q${i} *= correction${r};`),
      ]),
      ...lanes.flatMap((i) => [
        ...shader.loadRow(`v${i}q`, 'value', i === 0 ? 'j' : `min(j + ${i}, ${last})`, valueWidth),
        ...shader.rows.flatMap((r) => addTo(`sum${r}q`, `weights${r}[${i}]`, `v${i}q`, valueWidth)),
      ]),
    ]),
    '}',
  ]
  const stored = (r: number): string[] => [
    `let inverse${r} = 1.0f / total${r};`,
    ...shader.storeRow(`sum${r}q`, 'output', `row${r}`, valueWidth, ` * inverse${r}`),
    ...shader.storeOne('logarithm', `row${r}`, `(largest${r} + logOf(total${r}))`),
  ]
  return { dispatches: [shader.dispatch('forward', queries, body, stored)] }
}

/**
 * Rows share what they read. Their registers are memory where shaders run on the processor, which has that near; on a graphics card more than one
 * row of a wide head does not fit.
 */
export const rowsOfInvocation = (rows: number, { features }: WebGpuEnvironment): number =>
  features.software && rows >= 4 ? 4 : 1

/** A factor that shapes of heads determine; few differ in one program. */
export const scaleOf = (scale: number): string => {
  const text = String(Math.fround(scale))
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`
}
