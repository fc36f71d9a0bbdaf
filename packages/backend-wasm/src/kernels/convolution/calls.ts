import type { ConvolutionGeometry, OpCall, Operand } from '@tessera/core'
import { isRowMajor, ownInputs, sizeOf } from '@tessera/core'
import { i32 } from '../../assembler/index.ts'
import type { WasmFunction, WasmStep } from '../../program/contract.ts'
import { resultOf } from '../epilogue.ts'
import { type Convolution, type ConvolutionShapes, toThreeAxes } from './problems.ts'

export type ConvolutionOp = 'convolution' | 'convolutionBackwardInput' | 'convolutionBackwardFilter'

/** The convolution that an op belongs to. */
function shapesOf(call: OpCall<ConvolutionOp>): ConvolutionShapes {
  const [first, second] = ownInputs(call).map(({ view }) => view.shape) as [readonly number[], readonly number[]]
  const result = resultOf(call).view.shape
  if (call.op === 'convolution') return { input: first, filter: second, output: result }
  if (call.op === 'convolutionBackwardInput') return { input: result, filter: second, output: first }
  return { input: first, filter: result, output: second }
}

export const geometryOf = (call: OpCall<ConvolutionOp>): Convolution =>
  toThreeAxes(shapesOf(call), call.attributes as ConvolutionGeometry)

export const takes = (operand: Operand): boolean =>
  operand.dtype === 'f32' && isRowMajor(operand.view) && sizeOf(operand.view.shape) > 0

const zeroParameters = { target: 'i32', bytes: 'i32', thread: 'i32', threads: 'i32' } as const

/** Every thread fills its share of a target, in units of four bytes, with zeros. */
const zeros: WasmFunction<typeof zeroParameters> = {
  name: 'convolutionZeros',
  parameters: zeroParameters,
  define: (module) =>
    module.function('convolutionZeros', zeroParameters, 'void', (fn, { target, bytes, thread, threads }) => {
      const share = fn.local('i32', 'share', i32.and(i32.divU(i32.add(bytes, i32.mul(threads, 4)), threads), -4))
      const start = fn.local('i32', 'start', i32.mul(share, thread))
      const end = fn.local('i32', 'end', i32.add(start, share))
      fn.if(i32.gtU(end, bytes), () => fn.set(end, bytes))
      fn.if(i32.ltU(start, end), () => fn.memoryFill(i32.add(target, start), 0, i32.sub(end, start)))
    }),
}

/** A step that fills the output, of so many bytes, with zeros. */
export const zeroStep = (bytes: number): WasmStep => ({
  function: zeros as unknown as WasmFunction,
  arguments: [{ kind: 'output', index: 0 }, { kind: 'i32', value: bytes }, { kind: 'thread' }, { kind: 'threads' }],
})
