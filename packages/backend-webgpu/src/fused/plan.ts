import type { OpCall } from '@tessera/core'
import type { CallMemory, WebGpuCallPlan, WebGpuEnvironment } from '../program/contract.ts'
import { planColumn } from './column.ts'
import { planMap } from './map.ts'
import { takeApart } from './nest.ts'
import { planRow } from './row.ts'

/** Shaders for a fused loop nest. */
export function planFused(call: OpCall<'fused'>, environment: WebGpuEnvironment, memory: CallMemory): WebGpuCallPlan {
  const nest = takeApart(call.attributes, call.inputs, call.outputs)
  const plan = { map: planMap, row: planRow, column: planColumn }[call.attributes.kind]
  return plan(nest, environment, memory)
}
