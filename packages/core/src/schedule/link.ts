import type { View } from '../graph/view.ts'
import type { Limits } from '../plugin/contract.ts'
import { planMemory } from './memory.ts'
import type { Epilogue, OpCall, Operand, Program, ProgramBuffer } from './program.ts'

/** Memory of a value while the program is put together. */
export interface Block {
  readonly bytes: number
  readonly role: 'input' | 'output' | 'temporary'
  /** The input whose memory an output is to take over, if that is safe. */
  readonly donatedFrom?: Block
  /** An input that holds the same content at every run. */
  readonly isConstant?: boolean
}

/** A call before its buffers have numbers. */
export interface DraftCall {
  readonly op: OpCall['op']
  readonly attributes: OpCall['attributes']
  readonly inputs: readonly DraftOperand[]
  readonly outputs: readonly DraftOperand[]
  readonly epilogue?: Epilogue
}
export interface DraftOperand {
  readonly block: Block
  readonly dtype: Operand['dtype']
  readonly view: View
}

/** A program whose memory is not planned yet. */
export interface Draft {
  readonly inputs: readonly Block[]
  readonly outputs: readonly Block[]
  readonly calls: readonly DraftCall[]
}

/**
 * Gives blocks their numbers and temporaries their place in the arena.
 *
 * @returns the program, and the most bytes of temporaries that are alive at once
 */
export function link(draft: Draft, limits: Limits): { program: Program; liveBytes: number } {
  const { inputs, outputs } = draft
  const calls = postponed(draft.calls)
  const first = new Map<Block, number>()
  const last = new Map<Block, number>()
  calls.forEach((call, step) => {
    for (const { block } of [...call.inputs, ...call.outputs]) {
      if (!first.has(block)) first.set(block, step)
      last.set(block, step)
    }
  })
  const donors = settleDonations(outputs, calls)
  const temporaries = [...first.keys()].filter((block) => block.role === 'temporary')
  const plan = planMemory(
    temporaries.map((block) => ({ bytes: block.bytes, first: first.get(block)!, last: last.get(block)! })),
    limits.alignment,
  )
  const offsets = new Map(temporaries.map((block, i) => [block, plan.offsets[i]!]))
  const all = [...inputs, ...outputs, ...temporaries]
  const ids = new Map(all.map((block, id) => [block, id]))
  const buffers = all.map((block, id): ProgramBuffer => {
    const donor = donors.get(block)
    return {
      id,
      byteLength: block.bytes,
      role: block.role,
      ...(block.role === 'temporary' && { offset: offsets.get(block)! }),
      ...(donor && { donatedFrom: ids.get(donor)! }),
    }
  })
  const operand = (draft: DraftOperand) => toOperand(draft, ids.get(draft.block)!)
  const program: Program = {
    buffers,
    calls: calls.map(
      (call): OpCall => ({
        op: call.op,
        attributes: call.attributes,
        inputs: call.inputs.map(operand),
        outputs: call.outputs.map(operand),
        ...(call.epilogue && { epilogue: call.epilogue }),
      }),
    ),
    inputs: inputs.map((block) => ids.get(block)!),
    outputs: outputs.map((block) => ids.get(block)!),
    arenaBytes: plan.totalBytes,
  }
  return { program, liveBytes: plan.liveBytes }
}

/** Work on the program's inputs alone waits until something needs it, so that its results take memory no earlier. */
function postponed(calls: readonly DraftCall[]): readonly DraftCall[] {
  const touches = new Map<Block, number[]>()
  calls.forEach(({ inputs, outputs }, step) => {
    for (const { block } of [...inputs, ...outputs]) {
      const steps = touches.get(block) ?? []
      touches.set(block, steps)
      if (steps.at(-1) !== step) steps.push(step)
    }
  })
  const waiting = new Map<number, DraftCall[]>()
  const moved = new Set<DraftCall>()
  calls.forEach((call, step) => {
    const readsInputs = call.inputs.every(({ block }) => block.role === 'input')
    if (call.op !== 'fused' || !readsInputs || call.outputs.some(({ block }) => block.role !== 'temporary')) return
    const needed = call.outputs.map(({ block }) => touches.get(block)!.find((other) => other > step) ?? step + 1)
    const target = Math.min(...needed)
    if (target <= step + 1) return
    waiting.set(target, [...(waiting.get(target) ?? []), call])
    moved.add(call)
  })
  return calls.flatMap((call, step) => [...(waiting.get(step) ?? []), ...(moved.has(call) ? [] : [call])])
}

function toOperand({ block, dtype, view }: DraftOperand, buffer: number): Operand {
  return { buffer, dtype, view, ...(block.isConstant && { isConstant: true }) }
}

/** A draft as the call that it will be, with buffers numbered in order of use: to ask kernels about. */
export function unlinked(call: DraftCall): OpCall {
  const ids = new Map<Block, number>()
  const operand = (draft: DraftOperand): Operand => {
    if (!ids.has(draft.block)) ids.set(draft.block, ids.size)
    return toOperand(draft, ids.get(draft.block)!)
  }
  return { ...call, inputs: call.inputs.map(operand), outputs: call.outputs.map(operand) }
}

/**
 * The inputs whose memory outputs take over. An output may only be written over an input that nothing reads afterwards, or by the
 * call that reads it last, element by element.
 */
function settleDonations(outputs: readonly Block[], calls: readonly DraftCall[]): Map<Block, Block> {
  const settled = new Map<Block, Block>()
  for (const block of outputs) {
    const donor = block.donatedFrom
    if (!donor) continue
    const firstWrite = calls.findIndex((call) => call.outputs.some((output) => output.block === block))
    const safe = calls.every((call, step) => {
      const reads = call.inputs.filter((input) => input.block === donor)
      if (reads.length === 0 || step < firstWrite) return true
      return step === firstWrite && reads.every((read) => mayOverwrite(call, read, block))
    })
    if (safe) settled.set(block, donor)
  }
  return settled
}

/** True when a call that reads `read` may write its output over it. */
function mayOverwrite(call: DraftCall, read: DraftOperand, block: Block): boolean {
  const written = call.outputs.filter((output) => output.block === block)
  if (call.op === 'scatter')
    return call.inputs[0] === read && call.inputs.slice(1).every((input) => input.block !== read.block)
  const sameView = (a: View, b: View) =>
    a.offset === b.offset && a.strides.every((stride, axis) => stride === b.strides[axis])
  const isPointwise =
    call.op === 'fused' || (call.epilogue !== undefined && call.inputs.indexOf(read) >= call.epilogue.firstInput)
  return isPointwise && written.every((output) => output.dtype === read.dtype && sameView(output.view, read.view))
}
