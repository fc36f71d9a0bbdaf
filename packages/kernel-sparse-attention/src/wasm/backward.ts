import { i32, type Local, type ScalarOrExpression, select, type WasmFunction } from '@tessera/backend-wasm'
import {
  attentionBackwardGroup,
  emitClear,
  enterFrame,
  field,
  gradientParts,
  setFields,
} from '@tessera/backend-wasm/kernel'
import { forEachRun, groupBytes, groupsOf, groupWord, headAddresses, runWord, size, stepOf } from './descriptor.ts'

const parameters = {
  descriptor: 'i32',
  query: 'i32',
  key: 'i32',
  value: 'i32',
  logarithm: 'i32',
  projection: 'i32',
  gradient: 'i32',
  queryGradient: 'i32',
  keyGradient: 'i32',
  valueGradient: 'i32',
  /** Which gradients are computed, a sum of `gradientParts`. */
  parts: 'i32',
  /** The passes to compute: `[pass, passEnd)`. */
  pass: 'i32',
  passEnd: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

const names = [
  'query',
  'key',
  'value',
  'logarithm',
  'projection',
  'gradient',
  'queryGradient',
  'keyGradient',
  'valueGradient',
] as const
type Name = (typeof names)[number]

/**
 * The backward pass of sparse attention: all gradients of a head at once, which threads take in turn; or those of the keys and values, of which threads
 * take ranges; or those of the queries, of which they take groups. Every sum has one order.
 */
export const backwardFunction: WasmFunction<typeof parameters> = {
  name: 'sparse-attention/backward',
  parameters,
  define: (module, { variant }) => {
    const groupParts = attentionBackwardGroup(module, variant)
    const clear = emitClear(module)
    return module.function('sparseAttentionBackward', parameters, 'void', (fn, given) => {
      const { descriptor, parts, pass: firstPass, passEnd, scratch: frame, thread, threads } = given
      enterFrame(fn, groupParts.tuning, descriptor, frame)
      const length = fn.local('i32', 'length', size(descriptor, 'length'))
      const has = (part: keyof typeof gradientParts) => i32.ne(i32.and(parts, gradientParts[part]), 0)
      const onlyQueries = fn.local('i32', 'onlyQueries', i32.eq(parts, gradientParts.queries))
      const ranges = fn.local('i32', 'ranges', i32.const(1))
      fn.if(i32.eq(parts, gradientParts.keysAndValues), () => fn.set(ranges, size(descriptor, 'ranges')))
      const heads = i32.mul(size(descriptor, 'batches'), size(descriptor, 'heads'))
      const shares = fn.local('i32', 'shares', i32.mul(heads, ranges))
      // Shares go round the threads, or else groups do, all along all heads.
      const next = fn.local('i32', 'next', select(onlyQueries, thread, i32.const(0)))
      const shareStep = fn.local('i32', 'shareStep', select(onlyQueries, i32.const(1), threads))
      const groupStep = fn.local('i32', 'groupStep', select(onlyQueries, threads, i32.const(1)))
      fn.forRange(select(onlyQueries, i32.const(0), thread), shares, shareStep, (share) => {
        const unit = fn.local('i32', 'unit', i32.divU(share, ranges))
        const operands = Object.fromEntries(names.map((name) => [name, given[name]])) as Record<Name, Local<'i32'>>
        const at = headAddresses(fn, descriptor, operands, unit)
        const rows = Object.fromEntries(
          names.map((name) => [name, fn.local('i32', 'row', stepOf(descriptor, name, 'row'))]),
        ) as Record<Name, Local<'i32'>>
        const rowAt = (name: Name, position: ScalarOrExpression<'i32'>) =>
          i32.add(at[name], i32.mul(position, rows[name]))
        const low = fn.local('i32', 'low', 0)
        const high = fn.local('i32', 'high', length)
        fn.if(i32.gtS(ranges, 1), () => {
          fn.set(low, i32.mul(i32.remU(share, ranges), size(descriptor, 'rangeKeys')))
          const end = fn.local('i32', 'end', i32.add(low, size(descriptor, 'rangeKeys')))
          fn.set(high, select(i32.ltS(end, length), end, length))
        })
        const clearRows = (
          name: Name,
          first: ScalarOrExpression<'i32'>,
          count: ScalarOrExpression<'i32'>,
          width: 'width' | 'valueWidth',
        ) => fn.call(clear, { rows: rowAt(name, first), step: rows[name], count, width: field(frame, width) })
        fn.if(has('keysAndValues'), () => {
          const count = fn.local('i32', 'keys', i32.sub(high, low))
          clearRows('keyGradient', low, count, 'width')
          clearRows('valueGradient', low, count, 'valueWidth')
          fn.if(has('queries'), () => clearRows('queryGradient', 0, length, 'width'))
        })
        fn.forRange(firstPass, passEnd, 1, (pass) => {
          const groups = groupsOf(fn, descriptor, unit, pass)
          fn.if(i32.eqz(onlyQueries), () => fn.set(next, 0))
          fn.while(i32.ltS(next, groups.count), () => {
            const group = fn.local('i32', 'group', i32.add(groups.first, i32.mul(next, groupBytes)))
            const start = fn.local('i32', 'start', groupWord(group, 'start'))
            const step = fn.local('i32', 'step', groupWord(group, 'step'))
            const place = (name: Name) => rowAt(name, start)
            const stride = (name: Name) => i32.mul(step, rows[name])
            setFields(fn, frame, {
              count: groupWord(group, 'count'),
              position: start,
              positionStep: step,
              query: place('query'),
              queryStep: stride('query'),
              logarithm: place('logarithm'),
              logarithmStep: stride('logarithm'),
              projection: place('projection'),
              projectionStep: stride('projection'),
              gradient: place('gradient'),
              gradientStep: stride('gradient'),
              queryGradient: place('queryGradient'),
              queryGradientStep: stride('queryGradient'),
            })
            fn.if(i32.and(onlyQueries, i32.eqz(pass)), () => {
              fn.call(clear, {
                rows: place('queryGradient'),
                step: stride('queryGradient'),
                count: groupWord(group, 'count'),
                width: field(frame, 'width'),
              })
            })
            const isPacked = fn.local('i32', 'isPacked', 0)
            forEachRun(fn, descriptor, group, (run, first) => {
              // The part of the run that lies in the range.
              const keyStep = fn.local('i32', 'keyStep', runWord(run, 'step'))
              const before = fn.local('i32', 'before', i32.sub(low, first))
              const toEnd = i32.add(i32.sub(i32.sub(high, first), 1), keyStep)
              const skipped = fn.local(
                'i32',
                'skipped',
                select(i32.gtS(before, 0), i32.divS(i32.sub(i32.add(before, keyStep), 1), keyStep), i32.const(0)),
              )
              const end = fn.local('i32', 'end', i32.divS(toEnd, keyStep))
              fn.if(i32.gtS(end, runWord(run, 'count')), () => fn.set(end, runWord(run, 'count')))
              fn.if(i32.gtS(end, skipped), () => {
                fn.if(i32.eqz(isPacked), () => {
                  fn.call(groupParts.begin, { frame })
                  fn.set(isPacked, 1)
                })
                const key = fn.local('i32', 'key', i32.add(first, i32.mul(skipped, keyStep)))
                const keyRows = (name: Name) => ({ address: rowAt(name, key), step: i32.mul(keyStep, rows[name]) })
                const [keys, values] = [keyRows('key'), keyRows('value')]
                const [keyGradients, valueGradients] = [keyRows('keyGradient'), keyRows('valueGradient')]
                fn.call(groupParts.run, {
                  frame,
                  key: keys.address,
                  keyStep: keys.step,
                  value: values.address,
                  valueStep: values.step,
                  keyGradient: keyGradients.address,
                  keyGradientStep: keyGradients.step,
                  valueGradient: valueGradients.address,
                  valueGradientStep: valueGradients.step,
                  position: key,
                  positionStep: keyStep,
                  count: i32.sub(end, skipped),
                  lowest: runWord(run, 'lowest'),
                  highest: runWord(run, 'highest'),
                  parts,
                })
              })
            })
            fn.increment(next, groupStep)
          })
          fn.if(onlyQueries, () => fn.set(next, i32.sub(next, groups.count)))
        })
      })
    })
  },
}
