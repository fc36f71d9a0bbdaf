import type { OpCall } from '@tessera/core'
import type { WasmCallPlan } from '../program/contract.ts'
import { lowerBody, type PlacedOperand } from './body.ts'
import { assemble, countOf } from './parts.ts'
import { planColumn } from './plan-column.ts'
import { mapParts } from './plan-map.ts'
import { planRow } from './plan-row.ts'

/** How a fused call runs. */
export function planFused(call: OpCall<'fused'>): WasmCallPlan {
  const inputs = call.inputs.map((operand, index): PlacedOperand => ({ ...operand, place: { kind: 'input', index } }))
  const outputs = call.outputs.map(
    (operand, index): PlacedOperand => ({ ...operand, place: { kind: 'output', index } }),
  )
  const body = call.attributes
  if (body.kind === 'column') return planColumn(body, inputs, outputs)
  const lowered = lowerBody(body, inputs, outputs)
  if (body.kind === 'map') return assemble(mapParts(lowered))
  return countOf(lowered.outer) === 0 ? { steps: [] } : planRow(lowered)
}
