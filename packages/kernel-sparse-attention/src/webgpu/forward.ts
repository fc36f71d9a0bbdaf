import type { WebGpuDispatch } from '@tessera/backend-webgpu'
import { addTo, dotOf, lowest, scaleBy, scaleOf, zeros } from '@tessera/backend-webgpu/kernel'
import { forEachPattern, type Place, type SparseProblem } from './problem.ts'
import { forEachPosition } from './runs.ts'

/**
 * Each invocation has one query and walks over the runs of keys that it sees, with the largest score and the sum of exponentials so far (Milakov and
 * Gimelshein 2018); no score goes to memory, and no key that is hidden is read.
 */
export function planForward(problem: SparseProblem, place: Place): WebGpuDispatch[] {
  const { operands, position, queries, keys, width, valueWidth, scale } = problem.attention
  const written = ['output', 'logarithm'].filter((name) => name in operands)
  const given = { name: 'forward', names: ['query', 'key', 'value', ...written], written, rows: queries }
  return forEachPattern(problem, place, given, (shader, runs) => ({
    walk: [
      ...shader.loadRow('q', 'query', 'row0', width),
      ...zeros('sum', valueWidth),
      `var largest = ${lowest};`,
      'var total = 0.0f;',
      `let place = ${position ? `min(row0 + first, ${shader.head.number(keys)} - 1)` : 'row0'};`,
      ...forEachPosition(shader.head, runs.keys, 'place', 'j', [
        ...shader.loadRow('k', 'key', 'j', width),
        `let score = (${dotOf('q', 'k', width)}) * ${scaleOf(scale)};`,
        // Rare after the first keys.
        'if (score > largest) {',
        '  let correction = expOf(largest - score);',
        '  largest = score;',
        '  total *= correction;',
        ...scaleBy('sum', 'correction', valueWidth),
        '}',
        'let weight = expOf(score - largest);',
        'total += weight;',
        ...shader.loadRow('v', 'value', 'j', valueWidth),
        ...addTo('sum', 'weight', 'v', valueWidth),
      ]),
    ],
    stores: [
      'let inverse = 1.0f / total;',
      ...shader.storeRow('sum', 'output', 'row0', valueWidth, ' * inverse'),
      ...(written.includes('logarithm') ? shader.head.storeOne('logarithm', 'row0', '(largest + logOf(total))') : []),
    ],
  }))
}
