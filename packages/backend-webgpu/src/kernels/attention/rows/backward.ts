import type { CallMemory, WebGpuCallPlan, WebGpuDispatch, WebGpuEnvironment } from '../../../program/contract.ts'
import { indented } from '../../../wgsl/shader.ts'
import { type AttentionProblem, scaleOf } from '../problem.ts'
import { addTo, dotOf, RowShader, zeros } from './row-shader.ts'

/**
 * Two dispatches, neither of which adds to what another invocation adds to: for each query its gradient, walking over the keys; for each key its
 * gradient and that of its value, walking over the queries. Weights are computed again from the logarithms of the forward pass (Dao et al. 2022,
 * algorithm 4).
 */
export function planRowBackward(
  problem: AttentionProblem,
  environment: WebGpuEnvironment,
  memory: CallMemory,
): WebGpuCallPlan {
  const open = (rows: number, targets: readonly string[]): RowShader => {
    const names = ['query', 'key', 'value', 'logarithm', 'projection', 'gradient', ...targets]
    return new RowShader(problem, environment, memory, rows, names, targets)
  }
  return {
    dispatches: [
      queryGradient(open(problem.queries, ['queryGradient'])),
      keyGradients(open(problem.keys, ['keyGradient', 'valueGradient'])),
    ],
  }
}

function queryGradient(shader: RowShader): WebGpuDispatch {
  const { keys, width, valueWidth, scale } = shader.head.problem
  const body = [
    ...shader.rows.flatMap((r) => [
      ...shader.loadRow(`q${r}q`, 'query', `row${r}`, width),
      ...shader.loadRow(`g${r}q`, 'gradient', `row${r}`, valueWidth),
      ...zeros(`sum${r}q`, width),
      `let logarithm${r} = ${shader.head.loadOne('logarithm', `row${r}`)};`,
      `let projection${r} = ${shader.head.loadOne('projection', `row${r}`)};`,
      `let end${r} = min(${shader.head.number(keys)}, row${r} + first + 1);`,
    ]),
    `for (var j = 0; j < end${shader.rows.length - 1}; j++) {`,
    ...indented([
      ...shader.loadRow('k', 'key', 'j', width),
      ...shader.loadRow('v', 'value', 'j', valueWidth),
      ...shader.rows.flatMap((r) => [
        `let weight${r} = select(0.0f, expOf((${dotOf(`q${r}q`, 'k', width)}) * ${scaleOf(scale)} - logarithm${r}), j < end${r});`,
        `let slope${r} = weight${r} * ((${dotOf(`g${r}q`, 'v', valueWidth)}) - projection${r}) * ${scaleOf(scale)};`,
        ...addTo(`sum${r}q`, `slope${r}`, 'k', width),
      ]),
    ]),
    '}',
  ]
  return shader.dispatch('gradient of queries', body, (r) =>
    shader.storeRow(`sum${r}q`, 'queryGradient', `row${r}`, width),
  )
}

function keyGradients(shader: RowShader): WebGpuDispatch {
  const { queries, width, valueWidth, scale } = shader.head.problem
  const body = [
    ...shader.rows.flatMap((r) => [
      ...shader.loadRow(`k${r}q`, 'key', `row${r}`, width),
      ...shader.loadRow(`v${r}q`, 'value', `row${r}`, valueWidth),
      ...zeros(`keySum${r}q`, width),
      ...zeros(`valueSum${r}q`, valueWidth),
    ]),
    `for (var i = max(0, row0 - first); i < ${shader.head.number(queries)}; i++) {`,
    ...indented([
      ...shader.loadRow('q', 'query', 'i', width),
      ...shader.loadRow('g', 'gradient', 'i', valueWidth),
      `let logarithm = ${shader.head.loadOne('logarithm', 'i')};`,
      `let projection = ${shader.head.loadOne('projection', 'i')};`,
      ...shader.rows.flatMap((r) => [
        `let weight${r} = select(0.0f, expOf((${dotOf(`k${r}q`, 'q', width)}) * ${scaleOf(scale)} - logarithm), row${r} <= i + first);`,
        ...addTo(`valueSum${r}q`, `weight${r}`, 'g', valueWidth),
        `let slope${r} = weight${r} * ((${dotOf(`v${r}q`, 'g', valueWidth)}) - projection) * ${scaleOf(scale)};`,
        ...addTo(`keySum${r}q`, `slope${r}`, 'q', width),
      ]),
    ]),
    '}',
  ]
  return shader.dispatch('gradients of keys and values', body, (r) => [
    ...shader.storeRow(`keySum${r}q`, 'keyGradient', `row${r}`, width),
    ...shader.storeRow(`valueSum${r}q`, 'valueGradient', `row${r}`, valueWidth),
  ])
}
