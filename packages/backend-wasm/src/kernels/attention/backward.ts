import type { FunctionHandle, Local, ModuleBuilder, Operand } from '../../assembler/index.ts'
import { i32, select } from '../../assembler/index.ts'
import type { WasmFunction } from '../../program/contract.ts'
import { min } from '../matmul/tiles.ts'
import { attentionBackwardGroup, gradientParts } from './backward-group.ts'
import { firstPosition, headAddresses, rowStep, size } from './descriptor.ts'
import { enterFrame, farthest, field, groupQueries, setFields } from './frame.ts'

const parameters = {
  descriptor: 'i32',
  query: 'i32',
  key: 'i32',
  value: 'i32',
  position: 'i32',
  logarithm: 'i32',
  projection: 'i32',
  gradient: 'i32',
  queryGradient: 'i32',
  keyGradient: 'i32',
  valueGradient: 'i32',
  /** Which gradients are computed, a sum of `gradientParts`. */
  parts: 'i32',
  scratch: 'i32',
  thread: 'i32',
  threads: 'i32',
} as const

const headNames = [
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

/**
 * The backward pass of dense attention: the gradients of all operands of a head at once, which threads take in turn; or only those of
 * the queries, of which they take groups; or only those of the keys and values, of which they take ranges. Every sum has one order.
 */
export const backwardFunction: WasmFunction<typeof parameters> = {
  name: 'attentionBackward',
  parameters,
  define: (module, { variant }) => {
    const group = attentionBackwardGroup(module, variant)
    const clear = emitClear(module)
    return module.function('attentionBackward', parameters, 'void', (fn, given) => {
      const { descriptor, position, parts, scratch: frame, thread, threads } = given
      enterFrame(fn, group.tuning, descriptor, frame)
      const word = (name: Parameters<typeof size>[1]) => fn.local('i32', name, size(descriptor, name))
      const [queries, keys, groups, highest] = [word('queries'), word('keys'), word('groups'), word('highest')]
      const [ranges, rangeKeys] = [word('ranges'), word('rangeKeys')]
      const start = firstPosition(fn, descriptor, position)
      const has = (part: keyof typeof gradientParts) => i32.ne(i32.and(parts, gradientParts[part]), 0)
      const shares = fn.local('i32', 'shares', select(has('queries'), groups, ranges))
      fn.if(i32.eq(parts, gradientParts.queries + gradientParts.keysAndValues), () => fn.set(shares, 1))
      const units = i32.mul(size(descriptor, 'heads'), shares)
      fn.forRange(thread, units, threads, (unit) => {
        const operands = Object.fromEntries(headNames.map((name) => [name, given[name]])) as Record<
          (typeof headNames)[number],
          Local<'i32'>
        >
        const at = headAddresses(fn, descriptor, operands, i32.divU(unit, shares))
        const share = fn.local('i32', 'share', i32.remU(unit, shares))
        const step = (name: (typeof headNames)[number]) => rowStep(descriptor, name)
        const steps = Object.fromEntries(
          headNames.map((name) => [name, fn.local('i32', 'step', step(name))]),
        ) as Record<(typeof headNames)[number], Local<'i32'>>
        // The share: all of the head, or one group of queries, or one range of keys.
        const [group0, groupEnd] = [fn.local('i32', 'group0', 0), fn.local('i32', 'groupEnd', groups)]
        const [key0, keyCount] = [fn.local('i32', 'key0', 0), fn.local('i32', 'keyCount', keys)]
        fn.if(i32.eq(parts, gradientParts.queries), () => {
          fn.set(group0, i32.sub(i32.sub(groups, 1), share))
          fn.set(groupEnd, i32.add(group0, 1))
        })
        fn.if(i32.eq(parts, gradientParts.keysAndValues), () => {
          fn.set(key0, i32.mul(share, rangeKeys))
          fn.set(keyCount, min(rangeKeys, i32.sub(keys, key0)))
        })
        fn.if(has('keysAndValues'), () => {
          for (const [name, width] of [
            ['keyGradient', 'width'],
            ['valueGradient', 'valueWidth'],
          ] as const) {
            const rows = i32.add(at[name], i32.mul(key0, steps[name]))
            fn.call(clear, { rows, step: steps[name], count: keyCount, width: field(frame, width) })
          }
        })
        const row = (name: (typeof headNames)[number], index: Operand<'i32'>) =>
          i32.add(at[name], i32.mul(index, steps[name]))
        fn.forRange(group0, groupEnd, 1, (index) => {
          const first = fn.local('i32', 'first', i32.mul(index, groupQueries))
          const count = fn.local('i32', 'count', min(i32.const(groupQueries), i32.sub(queries, first)))
          const place = fn.local('i32', 'place', i32.add(start, first))
          setFields(fn, frame, {
            count,
            position: place,
            positionStep: 1,
            query: row('query', first),
            queryStep: steps.query,
            logarithm: row('logarithm', first),
            logarithmStep: steps.logarithm,
            projection: row('projection', first),
            projectionStep: steps.projection,
            gradient: row('gradient', first),
            gradientStep: steps.gradient,
            queryGradient: row('queryGradient', first),
            queryGradientStep: steps.queryGradient,
          })
          fn.if(has('queries'), () => {
            const rows = row('queryGradient', first)
            fn.call(clear, { rows, step: steps.queryGradient, count, width: field(frame, 'width') })
          })
          // Nothing of the range is visible to queries before it.
          fn.if(i32.geS(i32.add(i32.add(place, count), highest), key0), () => {
            fn.call(group.begin, { frame })
            fn.call(group.run, {
              frame,
              key: row('key', key0),
              keyStep: steps.key,
              value: row('value', key0),
              valueStep: steps.value,
              keyGradient: row('keyGradient', key0),
              keyGradientStep: steps.keyGradient,
              valueGradient: row('valueGradient', key0),
              valueGradientStep: steps.valueGradient,
              position: key0,
              positionStep: 1,
              count: keyCount,
              lowest: -farthest,
              highest,
              parts,
            })
          })
        })
      })
    })
  },
}

const clearParameters = { rows: 'i32', step: 'i32', count: 'i32', width: 'i32' } as const

/** Emits the function that sets rows of floats to 0. */
export function emitClear(module: ModuleBuilder): FunctionHandle<typeof clearParameters, 'void'> {
  return module.function('attentionClear', clearParameters, 'void', (fn, { rows, step, count, width }) => {
    fn.repeat(count, () => {
      fn.memoryFill(rows, 0, i32.shl(width, 2))
      fn.increment(rows, step)
    })
  })
}
