import { i32 } from '../../assembler/index.ts'
import type { WasmFunction } from '../../program/contract.ts'
import { min } from '../matmul/tiles.ts'
import { firstPosition, headAddresses, rowStep, size } from './descriptor.ts'
import { enterFrame, farthest, groupQueries, setFields } from './frame.ts'
import { attentionGroup } from './group.ts'

/** Parameters of the functions of dense attention going forward. */
export const forwardParameters = {
  descriptor: 'i32',
  query: 'i32',
  key: 'i32',
  value: 'i32',
  /** Address of the first query's position, where the descriptor says that there is one. */
  position: 'i32',
  output: 'i32',
  logarithm: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

/** Dense attention. Threads take groups of queries in turn, those with most keys first. */
export const forwardFunction: WasmFunction<typeof forwardParameters> = {
  name: 'attention',
  parameters: forwardParameters,
  define: (module, { variant }) => {
    const group = attentionGroup(module, variant)
    return module.function('attention', forwardParameters, 'void', (fn, given) => {
      const { descriptor, position, scratch: frame, thread, threads } = given
      enterFrame(fn, group.tuning, descriptor, frame)
      const [queries, keys, groups, highest] = (['queries', 'keys', 'groups', 'highest'] as const).map((name) =>
        fn.local('i32', name, size(descriptor, name)),
      )
      const start = firstPosition(fn, descriptor, position)
      const units = i32.mul(size(descriptor, 'heads'), groups!)
      fn.forRange(thread, units, threads, (unit) => {
        const { query, key, value, output, logarithm } = given
        const at = headAddresses(fn, descriptor, { query, key, value, output, logarithm }, i32.divU(unit, groups!))
        const place = i32.sub(i32.sub(groups!, 1), i32.remU(unit, groups!))
        const first = fn.local('i32', 'first', i32.mul(place, groupQueries))
        const step = (name: 'query' | 'output' | 'logarithm') => fn.local('i32', 'step', rowStep(descriptor, name))
        const [queryStep, outputStep, logarithmStep] = [step('query'), step('output'), step('logarithm')]
        setFields(fn, frame, {
          count: min(i32.const(groupQueries), i32.sub(queries!, first)),
          position: i32.add(start, first),
          positionStep: 1,
          query: i32.add(at.query, i32.mul(first, queryStep)),
          queryStep,
          output: i32.add(at.output, i32.mul(first, outputStep)),
          outputStep,
          logarithm: i32.add(at.logarithm, i32.mul(first, logarithmStep)),
          logarithmStep,
        })
        fn.call(group.begin, { frame })
        fn.call(group.run, {
          frame,
          key: at.key,
          keyStep: rowStep(descriptor, 'key'),
          value: at.value,
          valueStep: rowStep(descriptor, 'value'),
          position: 0,
          positionStep: 1,
          count: keys!,
          lowest: -farthest,
          highest: highest!,
        })
        fn.call(group.end, { frame })
      })
    })
  },
}
