import { i32 } from '../../assembler/index.ts'
import type { WasmFunction } from '../../program/contract.ts'
import { min } from '../matmul/tiles.ts'
import { matmulTuning } from '../matmul/tuning.ts'
import { firstPosition, headAddresses, rowStep, size } from './descriptor.ts'
import { forwardParameters } from './forward.ts'
import { enterFrame } from './frame.ts'
import { attentionQuery } from './query.ts'

/** Up to so many queries of a head are taken one by one: with more, tiles of queries are faster. */
export const fewQueries = 3

/** Dense attention of few queries, as in decoding with a cache of keys. Threads take heads in turn. */
export const fewFunction: WasmFunction<typeof forwardParameters> = {
  name: 'attentionFew',
  parameters: forwardParameters,
  define: (module, { variant }) => {
    const one = attentionQuery(module, variant)
    return module.function('attentionFew', forwardParameters, 'void', (fn, given) => {
      const { descriptor, position, scratch: frame, thread, threads } = given
      enterFrame(fn, matmulTuning(variant), descriptor, frame)
      const [queries, keys, highest] = (['queries', 'keys', 'highest'] as const).map((name) =>
        fn.local('i32', name, size(descriptor, name)),
      )
      const start = firstPosition(fn, descriptor, position)
      fn.forRange(thread, size(descriptor, 'heads'), threads, (head) => {
        const { query, key, value, output, logarithm } = given
        const at = headAddresses(fn, descriptor, { query, key, value, output, logarithm }, head)
        fn.forRange(0, queries!, 1, (index) => {
          const visible = i32.add(i32.add(start, index), i32.add(highest!, 1))
          fn.call(one.begin, { frame })
          fn.call(one.run, {
            frame,
            query: i32.add(at.query, i32.mul(index, rowStep(descriptor, 'query'))),
            key: at.key,
            keyStep: rowStep(descriptor, 'key'),
            value: at.value,
            valueStep: rowStep(descriptor, 'value'),
            count: min(keys!, visible),
          })
          fn.call(one.end, {
            frame,
            output: i32.add(at.output, i32.mul(index, rowStep(descriptor, 'output'))),
            logarithm: i32.add(at.logarithm, i32.mul(index, rowStep(descriptor, 'logarithm'))),
          })
        })
      })
    })
  },
}
