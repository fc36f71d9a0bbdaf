import type { FunctionHandle, ModuleBuilder } from '../../assembler/index.ts'
import { f32, i32 } from '../../assembler/index.ts'
import { chooseWidth, emitPackB } from '../matmul/pack.ts'
import type { PanelFunction } from '../matmul/panel.ts'
import { aLayoutCode } from '../matmul/panel.ts'
import type { MatmulTuning } from '../matmul/tuning.ts'
import { tileColumns } from '../matmul/tuning.ts'

/** C[m, n] += A[m, k] · B[k, n]. Addresses and steps are in bytes; rows of B and C are contiguous. */
const parameters = {
  /** `aLayoutCode.rows` or `aLayoutCode.columns`. */
  layout: 'i32',
  a: 'i32',
  aStep: 'i32',
  m: 'i32',
  b: 'i32',
  bStep: 'i32',
  n: 'i32',
  k: 'i32',
  c: 'i32',
  cStep: 'i32',
  /** A row of zeros as wide as a tile. */
  zeros: 'i32',
  /** Memory for k rows of B and m rows of C as wide as a tile. */
  tail: 'i32',
} as const

export type AddProductFunction = FunctionHandle<typeof parameters, 'void'>

/** Emits a product that is added to C without packing; only the last columns, which do not fill a tile, take a detour. */
export function emitAddProduct(
  module: ModuleBuilder,
  tuning: MatmulTuning,
  panels: readonly PanelFunction[],
): AddProductFunction {
  const columns = tileColumns(tuning)
  const packB = emitPackB(module, tuning)
  return module.function('attentionAddProduct', parameters, 'void', (fn, given) => {
    const { layout, a, aStep, m, b, bStep, n, k, c, cStep, zeros, tail } = given
    const aPanelStep = fn.local('i32', 'aPanelStep', i32.const(4 * tuning.rows))
    fn.if(i32.eq(layout, aLayoutCode.rows), () => fn.set(aPanelStep, i32.mul(aStep, tuning.rows)))
    const shared = { layout, a, aStep, aPanelStep, m, k }
    fn.while(i32.geS(n, columns), () => {
      fn.call(panels[0]!, { ...shared, b, bStep, addend: c, addendStep: cStep, c, cStep })
      fn.increment(b, 4 * columns)
      fn.increment(c, 4 * columns)
      fn.increment(n, -columns)
    })
    fn.if(i32.gtS(n, 0), () => {
      fn.call(packB, { source: b, step: 4, kStep: bStep, count: n, k, destination: tail })
      const tile = fn.local('i32', 'tile', i32.add(tail, i32.mul(k, 4 * columns)))
      chooseWidth(fn, tuning, n, (index) => {
        const width = 4 * tuning.widths[index]!
        const step = 4 * width
        fn.call(panels[index]!, { ...shared, b: tail, bStep: step, addend: zeros, addendStep: 0, c: tile, cStep: step })
        fn.repeat(m, () => {
          const target = fn.local('i32', 'target', c)
          const source = fn.local('i32', 'source', tile)
          fn.repeat(n, () => {
            fn.store('f32', target, f32.add(f32.load(target), f32.load(source)))
            fn.increment(target, 4)
            fn.increment(source, 4)
          })
          fn.increment(c, cStep)
          fn.increment(tile, step)
        })
      })
    })
  })
}
