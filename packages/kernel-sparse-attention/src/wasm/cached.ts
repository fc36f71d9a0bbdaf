import { i32, select, type WasmFunction } from '@tessera/backend-wasm'
import { attentionQuery, enterFrame, field, matmulTuning } from '@tessera/backend-wasm/kernel'
import { forEachRun, groupBytes, groupsOf, headAddresses, runWord, size, stepOf } from './descriptor.ts'

const parameters = {
  descriptor: 'i32',
  query: 'i32',
  key: 'i32',
  value: 'i32',
  /** Address of the first query's position. */
  position: 'i32',
  output: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

/** Sparse attention over a cache: each query reads the keys that its position sees, and no other. Threads take heads and queries in turn. */
export const cachedFunction: WasmFunction<typeof parameters> = {
  name: 'sparse-attention/cached',
  parameters,
  define: (module, { variant }) => {
    const one = attentionQuery(module, variant)
    return module.function('sparseAttentionCached', parameters, 'void', (fn, given) => {
      const { descriptor, position, scratch: frame, thread, threads } = given
      enterFrame(fn, matmulTuning(variant), descriptor, frame)
      const queries = fn.local('i32', 'queries', size(descriptor, 'queries'))
      const last = fn.local('i32', 'last', i32.sub(size(descriptor, 'length'), 1))
      const pass = fn.local('i32', 'pass', i32.const(0))
      const heads = i32.mul(size(descriptor, 'batches'), size(descriptor, 'heads'))
      fn.forRange(thread, i32.mul(heads, queries), threads, (share) => {
        const unit = fn.local('i32', 'unit', i32.divU(share, queries))
        const index = fn.local('i32', 'index', i32.remU(share, queries))
        const { query, key, value, output } = given
        const at = headAddresses(fn, descriptor, { query, key, value, output }, unit)
        const place = fn.local('i32', 'place', i32.add(i32.load(position), index))
        fn.set(place, select(i32.gtS(place, last), last, place))
        const groups = groupsOf(fn, descriptor, unit, pass)
        const group = fn.local('i32', 'group', i32.add(groups.first, i32.mul(place, groupBytes)))
        const [keyRow, valueRow] = [
          fn.local('i32', 'keyRow', stepOf(descriptor, 'key', 'row')),
          fn.local('i32', 'valueRow', stepOf(descriptor, 'value', 'row')),
        ]
        fn.call(one.begin, { frame })
        forEachRun(fn, descriptor, group, (run, first) => {
          fn.call(one.run, {
            frame,
            query: i32.add(at.query, i32.mul(index, stepOf(descriptor, 'query', 'row'))),
            key: i32.add(at.key, i32.mul(first, keyRow)),
            keyStep: i32.mul(runWord(run, 'step'), keyRow),
            value: i32.add(at.value, i32.mul(first, valueRow)),
            valueStep: i32.mul(runWord(run, 'step'), valueRow),
            count: runWord(run, 'count'),
          })
        })
        // The logarithm, which nobody asks for here, goes where the query's scores were.
        const row = fn.local('i32', 'row', i32.add(at.output, i32.mul(index, stepOf(descriptor, 'output', 'row'))))
        fn.call(one.end, { frame, output: row, logarithm: field(frame, 'scores') })
      })
    })
  },
}
