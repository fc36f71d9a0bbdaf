import type { Kernel, Limits, OpCall } from '@tessera/core'
import type { WasmCallPlan, WasmTarget } from '../../program/contract.ts'
import type { ConvolutionOp } from './calls.ts'

/** How one way of computing convolutions estimates and plans its calls. */
export interface ConvolutionMethod {
  /** `undefined` for calls that it does not take. */
  costOf(call: OpCall<ConvolutionOp>, limits: Limits): number | undefined
  plan(call: OpCall<ConvolutionOp>, target: WasmTarget): WasmCallPlan
  /** The result goes through an epilogue before it is stored. */
  planWithEpilogue(call: OpCall<'convolution' | 'convolutionBackwardInput'>, target: WasmTarget): WasmCallPlan
}

/** The kernel of a convolution or of one of its gradients. Gradients to filters take no epilogues. */
export function kernelOf<Op extends ConvolutionOp>(
  op: Op,
  name: string,
  { costOf, plan, planWithEpilogue }: ConvolutionMethod,
): Kernel<Op, 'wasm'> {
  return {
    name,
    op,
    backend: 'wasm',
    tolerance: 2e-6,
    epilogues: op !== 'convolutionBackwardFilter',
    cost: (call, limits) => costOf(call as unknown as OpCall<ConvolutionOp>, limits),
    build: (call) => (target) =>
      call.epilogue
        ? planWithEpilogue(call as unknown as OpCall<'convolution' | 'convolutionBackwardInput'>, target)
        : plan(call as unknown as OpCall<ConvolutionOp>, target),
  }
}
