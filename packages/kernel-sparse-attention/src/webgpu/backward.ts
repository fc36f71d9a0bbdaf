import type { WebGpuDispatch } from '@tessera/backend-webgpu'
import { addTo, dotOf, scaleOf, zeros } from '@tessera/backend-webgpu/kernel'
import { forEachPattern, type Place, type SparseProblem } from './problem.ts'
import { forEachPosition } from './runs.ts'

/**
 * Two dispatches for each pattern, neither of which adds to what another invocation adds to: for each query its gradient, walking over the keys that
 * it sees; for each key its gradient and that of its value, walking over the queries that see it. Weights are computed again from the logarithms
 * of the forward pass (Dao et al. 2022, algorithm 4).
 */
export function planBackward(problem: SparseProblem, place: Place): WebGpuDispatch[] {
  const { keys, queries, width, valueWidth, scale } = problem.attention
  const factor = scaleOf(scale)
  const given = (name: string, written: readonly string[], rows: number) => ({
    name,
    names: ['query', 'key', 'value', 'logarithm', 'projection', 'gradient', ...written],
    written,
    rows,
  })
  return [
    ...forEachPattern(problem, place, given('gradient of queries', ['queryGradient'], queries), (shader, runs) => ({
      walk: [
        ...shader.loadRow('q', 'query', 'row0', width),
        ...shader.loadRow('g', 'gradient', 'row0', valueWidth),
        `let logarithm = ${shader.head.loadOne('logarithm', 'row0')};`,
        `let projection = ${shader.head.loadOne('projection', 'row0')};`,
        ...zeros('sum', width),
        ...forEachPosition(shader.head, runs.keys, 'row0', 'j', [
          ...shader.loadRow('k', 'key', 'j', width),
          ...shader.loadRow('v', 'value', 'j', valueWidth),
          `let weight = expOf((${dotOf('q', 'k', width)}) * ${factor} - logarithm);`,
          `let slope = weight * ((${dotOf('g', 'v', valueWidth)}) - projection) * ${factor};`,
          ...addTo('sum', 'slope', 'k', width),
        ]),
      ],
      stores: shader.storeRow('sum', 'queryGradient', 'row0', width),
    })),
    ...forEachPattern(
      problem,
      place,
      given('gradients of keys and values', ['keyGradient', 'valueGradient'], keys),
      (shader, runs) => ({
        walk: [
          ...shader.loadRow('k', 'key', 'row0', width),
          ...shader.loadRow('v', 'value', 'row0', valueWidth),
          ...zeros('keySum', width),
          ...zeros('valueSum', valueWidth),
          ...forEachPosition(shader.head, runs.queries, 'row0', 'i', [
            ...shader.loadRow('q', 'query', 'i', width),
            ...shader.loadRow('g', 'gradient', 'i', valueWidth),
            `let weight = expOf((${dotOf('k', 'q', width)}) * ${factor} - ${shader.head.loadOne('logarithm', 'i')});`,
            ...addTo('valueSum', 'weight', 'g', valueWidth),
            `let toWeight = (${dotOf('v', 'g', valueWidth)}) - ${shader.head.loadOne('projection', 'i')};`,
            `let slope = weight * toWeight * ${factor};`,
            ...addTo('keySum', 'slope', 'q', width),
          ]),
        ],
        stores: [
          ...shader.storeRow('keySum', 'keyGradient', 'row0', width),
          ...shader.storeRow('valueSum', 'valueGradient', 'row0', valueWidth),
        ],
      }),
    ),
  ]
}
