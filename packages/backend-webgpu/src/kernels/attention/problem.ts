import type { OpCall, Operand } from '@tessera/core'
import { sizeOf } from '@tessera/core'

/** Widest heads whose rows stay in registers. */
export const mostWidth = 128

/** Attention, forward or backward, with its operands by name. */
export interface AttentionProblem {
  readonly operands: Readonly<Record<string, Operand>>
  /** The position of the first query, where it is an operand. */
  readonly position: Operand | undefined
  readonly causal: boolean
  readonly scale: number
  readonly queries: number
  readonly keys: number
  readonly width: number
  readonly valueWidth: number
}

export function attentionProblem(
  call: OpCall<'attention'> | OpCall<'attentionBackward'>,
  others: readonly Operand[],
): AttentionProblem | undefined {
  const { inputs, outputs, attributes } = call
  const [query, key, value] = inputs
  const extra = call.op === 'attention' ? [] : ['logarithm', 'projection', 'gradient']
  const results = call.op === 'attention' ? ['output', 'logarithm'] : ['queryGradient', 'keyGradient', 'valueGradient']
  if (!query || !key || !value || inputs.length !== (attributes.offset ? 4 : 3) + extra.length) return undefined
  if (outputs.length !== results.length || inputs.some(({ view }) => !view)) return undefined
  const rows = [query, key, value, ...others]
  const position = attributes.offset ? inputs[3] : undefined
  const last = inputs.length - extra.length
  const problem = {
    operands: {
      query,
      key,
      value,
      ...Object.fromEntries(extra.map((name, i) => [name, inputs[last + i]!])),
      ...Object.fromEntries(results.map((name, i) => [name, outputs[i]!])),
    },
    position,
    causal: attributes.causal,
    scale: attributes.scale,
    queries: query.view.shape.at(-2) ?? 0,
    keys: key.view.shape.at(-2) ?? 0,
    width: query.view.shape.at(-1) ?? 0,
    valueWidth: value.view.shape.at(-1) ?? 0,
  }
  const { queries, keys, width, valueWidth, causal } = problem
  const fits =
    rows.every(({ dtype, view }) => dtype === 'f32' && view.shape.length >= 2 && sizeOf(view.shape) > 0) &&
    Object.values(problem.operands).every(({ dtype, view }) => dtype === 'f32' && sizeOf(view.shape) > 0) &&
    (!position || position.dtype === 'i32') &&
    [width, valueWidth].every((extent) => extent % 4 === 0 && extent <= mostWidth) &&
    // Every query sees a key.
    (!causal || position !== undefined || queries <= keys)
  return fits ? problem : undefined
}

/** Below every score: what hidden keys get, and where the largest score starts. */
export const lowest = '-3.0e38f'

/** A factor that shapes of heads determine; few differ in one program. */
export const scaleOf = (scale: number): string => {
  const text = String(Math.fround(scale))
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`
}
