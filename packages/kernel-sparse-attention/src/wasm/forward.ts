import { i32, type WasmFunction } from '@tessera/backend-wasm'
import { attentionGroup, enterFrame, setFields } from '@tessera/backend-wasm/kernel'
import { forEachRun, groupBytes, groupsOf, groupWord, headAddresses, runWord, size, stepOf } from './descriptor.ts'

const parameters = {
  descriptor: 'i32',
  /** Passes after the first go on from what those before have written. */
  pass: 'i32',
  query: 'i32',
  key: 'i32',
  value: 'i32',
  output: 'i32',
  logarithm: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

/** One pass of sparse attention going forward. Threads take groups of queries in turn. */
export const forwardFunction: WasmFunction<typeof parameters> = {
  name: 'sparse-attention/forward',
  parameters,
  define: (module, { variant }) => {
    const parts = attentionGroup(module, variant)
    return module.function('sparseAttention', parameters, 'void', (fn, given) => {
      const { descriptor, pass, scratch: frame, thread, threads } = given
      enterFrame(fn, parts.tuning, descriptor, frame)
      const units = i32.mul(size(descriptor, 'batches'), size(descriptor, 'heads'))
      const next = fn.local('i32', 'next', thread)
      fn.forRange(0, units, 1, (unit) => {
        const { query, key, value, output, logarithm } = given
        const at = headAddresses(fn, descriptor, { query, key, value, output, logarithm }, unit)
        const groups = groupsOf(fn, descriptor, unit, pass)
        const row = (name: keyof typeof at) => fn.local('i32', 'row', stepOf(descriptor, name, 'row'))
        const [queryRow, keyRow, valueRow] = [row('query'), row('key'), row('value')]
        const [outputRow, logarithmRow] = [row('output'), row('logarithm')]
        fn.while(i32.ltS(next, groups.count), () => {
          const group = fn.local('i32', 'group', i32.add(groups.first, i32.mul(next, groupBytes)))
          const [start, step] = [
            fn.local('i32', 'start', groupWord(group, 'start')),
            fn.local('i32', 'step', groupWord(group, 'step')),
          ]
          setFields(fn, frame, {
            count: groupWord(group, 'count'),
            position: start,
            positionStep: step,
            query: i32.add(at.query, i32.mul(start, queryRow)),
            queryStep: i32.mul(step, queryRow),
            output: i32.add(at.output, i32.mul(start, outputRow)),
            outputStep: i32.mul(step, outputRow),
            logarithm: i32.add(at.logarithm, i32.mul(start, logarithmRow)),
            logarithmStep: i32.mul(step, logarithmRow),
          })
          fn.if(
            pass,
            () => fn.call(parts.resume, { frame }),
            () => fn.call(parts.begin, { frame }),
          )
          forEachRun(fn, descriptor, group, (run, first) => {
            fn.call(parts.run, {
              frame,
              key: i32.add(at.key, i32.mul(first, keyRow)),
              keyStep: i32.mul(runWord(run, 'step'), keyRow),
              value: i32.add(at.value, i32.mul(first, valueRow)),
              valueStep: i32.mul(runWord(run, 'step'), valueRow),
              position: first,
              positionStep: runWord(run, 'step'),
              count: runWord(run, 'count'),
              lowest: runWord(run, 'lowest'),
              highest: runWord(run, 'highest'),
            })
          })
          fn.call(parts.end, { frame })
          fn.increment(next, threads)
        })
        fn.set(next, i32.sub(next, groups.count))
      })
    })
  },
}
