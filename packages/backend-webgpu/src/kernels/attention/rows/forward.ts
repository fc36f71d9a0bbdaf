import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../../../program/contract.ts'
import { indented } from '../../../wgsl/shader.ts'
import { type AttentionProblem, lowest, scaleOf } from '../problem.ts'
import { addTo, dotOf, RowShader, scaleBy, zeros } from './row-shader.ts'

/**
 * Each invocation has a few queries and walks over their keys, with the largest score and the sum of exponentials of each so far (Milakov and Gimelshein
 * 2018); no score goes to memory. Neighbours read the same keys, which stay in the cache.
 */
export function planRowForward(
  problem: AttentionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const { queries, keys, width, valueWidth, scale } = problem
  const names = ['query', 'key', 'value', 'output', 'logarithm']
  const shader = new RowShader(problem, environment, memory, queries, names, ['output', 'logarithm'])
  const { rows, head } = shader
  const body = [
    ...rows.flatMap((r) => [
      ...shader.loadRow(`q${r}q`, 'query', `row${r}`, width),
      ...zeros(`sum${r}q`, valueWidth),
      `var largest${r} = ${lowest};`,
      `var total${r} = 0.0f;`,
      `let end${r} = min(${head.number(keys)}, row${r} + first + 1);`,
    ]),
    // Later queries see no fewer keys.
    `for (var j = 0; j < end${rows.length - 1}; j++) {`,
    ...indented([
      ...shader.loadRow('k', 'key', 'j', width),
      ...rows.flatMap((r) => [
        `let score${r} = select(${lowest}, (${dotOf(`q${r}q`, 'k', width)}) * ${scaleOf(scale)}, j < end${r});`,
        // Rare after the first keys.
        `if (score${r} > largest${r}) {`,
        `  let correction = expOf(largest${r} - score${r});`,
        `  largest${r} = score${r};`,
        `  total${r} *= correction;`,
        ...indented(scaleBy(`sum${r}q`, 'correction', valueWidth)),
        '}',
        `let weight${r} = select(0.0f, expOf(score${r} - largest${r}), j < end${r});`,
        `total${r} += weight${r};`,
      ]),
      ...shader.loadRow('v', 'value', 'j', valueWidth),
      ...rows.flatMap((r) => addTo(`sum${r}q`, `weight${r}`, 'v', valueWidth)),
    ]),
    '}',
  ]
  const stored = (r: number): string[] => [
    `let inverse${r} = 1.0f / total${r};`,
    ...shader.storeRow(`sum${r}q`, 'output', `row${r}`, valueWidth, ` * inverse${r}`),
    ...head.storeOne('logarithm', `row${r}`, `(largest${r} + logOf(total${r}))`),
  ]
  return { dispatches: [shader.dispatch('forward', body, stored)] }
}
