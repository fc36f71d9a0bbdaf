import { formatSpec } from '../graph/node.ts'
import type { OpAttributes } from '../graph/operations.ts'
import { formatShape } from '../graph/shape.ts'
import { isRowMajor } from '../graph/view.ts'

import type { Device, Limits } from '../plugin/contract.ts'
import type { OpCall } from '../schedule/program.ts'
import type { Compiled, CompiledProgram, CompiledStages } from '../stages/compiled.ts'
import { shareOfRoofline, workOf } from './roofline.ts'

/** What a call does, in a line: op, shapes, and for loops what runs in them. */
export function describeCall(call: OpCall): string {
  const shapes = (operands: OpCall['inputs']) =>
    operands.map(({ dtype, view }) => `${dtype}${formatShape(view.shape)}${isRowMajor(view) ? '' : '*'}`).join(' ')
  if (call.op !== 'fused') {
    const then = call.epilogue ? `, then ${describeBody(call.epilogue.body)}` : ''
    return `${call.op} ${shapes(call.inputs)} → ${shapes(call.outputs)}${then}`
  }
  const body = call.attributes as OpAttributes['fused']
  const shown = describeBody(body)
  const formats = call.outputs.map(({ dtype }) => dtype).join(' ')
  return `${body.kind} ${formatShape(body.domain)} ${call.inputs.length} in, ${call.outputs.length} out (${formats}): ${shown}`
}

function describeBody(body: OpAttributes['fused']): string {
  const ops = body.instructions.flatMap((instruction) => ('op' in instruction ? [instruction.op] : []))
  return ops.length > 6 ? `${ops.slice(0, 5).join(' ')} … ${ops.length} ops` : ops.join(' ') || 'copy'
}

/** How near a call came to what the device's figures allow: `  42 % arithmetic`. */
function reached(call: OpCall, limits: Limits, microseconds: number): string {
  const { share, limit } = shareOfRoofline(workOf(call), limits, microseconds)
  return `${(100 * share).toFixed(0).padStart(4)} % ${limit.padEnd(10)}`
}

const kibibytes = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`

/**
 * Calls, the kernels that won and those that did not, and the memory plan; of each program, where there are several.
 *
 * @param measured microseconds that each call took, if a run was measured
 */
export function explainProgram(name: string, compiled: Compiled, device: Device, measured?: readonly number[]): string {
  const where = `${device.backend} (${device.variant}, ${device.threads} thread${device.threads === 1 ? '' : 's'})`
  return [`${name} on ${where}`, ...explainCompiled(compiled, device.limits, measured)].join('\n')
}

function explainCompiled(compiled: Compiled, limits: Limits, measured?: readonly number[]): string[] {
  return compiled.kind === 'stages' ? explainStages(compiled, limits) : explainCalls(compiled, limits, measured)
}

function explainCalls(
  { selection, liveBytes }: CompiledProgram,
  limits: Limits,
  measured?: readonly number[],
): string[] {
  const { program, calls } = selection
  const counts = new Map<string, number>()
  for (const { kernel } of calls) counts.set(kernel.name, (counts.get(kernel.name) ?? 0) + 1)
  const lines = calls.map(({ call, kernel, estimatedMicroseconds, candidates }, i) => {
    const others = candidates
      .filter(({ refused }) => refused)
      .map((candidate) => `${candidate.kernel}: ${candidate.refused}`)
    const rest = others.length > 0 ? ` (not ${others.join('; ')})` : ''
    const took = measured ? `${measured[i]!.toFixed(1).padStart(9)} µs ${reached(call, limits, measured[i]!)}  ` : ''
    return `  ${String(i).padStart(4)}  ${kernel.name.padEnd(24)} ${estimatedMicroseconds.toFixed(1).padStart(9)} µs  ${took}${describeCall(call)}${rest}`
  })
  return [
    `${calls.length} calls: ${[...counts].map(([kernel, count]) => `${count} × ${kernel}`).join(', ')}`,
    `memory: ${kibibytes(program.arenaBytes)} for temporaries, of which at most ${kibibytes(liveBytes)} are in use at once`,
    `call  kernel                    estimated  ${measured ? '   measured  of the limit    ' : ''}what`,
    ...lines,
  ]
}

function explainStages({ steps, slots }: CompiledStages, limits: Limits): string[] {
  const indented = (compiled: Compiled) => explainCompiled(compiled, limits).map((line) => `    ${line}`)
  const bytes = slots.reduce((sum, size) => sum + size, 0)
  return [
    `${steps.length} steps: ${steps.map(({ kind }) => kind).join(', ')}`,
    `memory: ${kibibytes(bytes)} for arguments, results and what goes from step to step`,
    ...steps.flatMap((step, i) => {
      switch (step.kind) {
        case 'program':
          return [`step ${i}: program`, ...indented(step.compiled)]
        case 'host':
          if (step.node.op === 'onHost') return explainHost(i, step.node.attributes as OpAttributes['onHost'])
          return [`step ${i}: ${step.node.op} on the host, ${step.node.outputs.map(formatSpec).join(', ')}`]
        case 'branch':
          return [
            `step ${i}: one of two functions`,
            ...indented(step.whenTrue.compiled),
            ...indented(step.whenFalse.compiled),
          ]
        default: {
          const times = typeof step.times === 'number' ? `${step.times} times` : 'while a condition holds'
          const apart = step.alternating.length > 0 ? `, ${step.alternating.length} values change places` : ''
          return [`step ${i}: loop, ${times}${apart}`, ...indented(step.body.compiled)]
        }
      }
    }),
  ]
}

/** What no kernel of the device runs, each op with how often it occurs. */
function explainHost(step: number, { computes }: OpAttributes['onHost']): string[] {
  const counts = new Map<string, number>()
  for (const op of computes) counts.set(op, (counts.get(op) ?? 0) + 1)
  return [
    `step ${step}: ${computes.length} ops on the host, as no kernel of the backend runs them`,
    ...[...counts].map(([op, count]) => `    ${count} × ${op}`),
  ]
}

/** The calls with their operands and where these lie. */
export function formatSchedule(name: string, compiled: Compiled, limits: Limits): string {
  if (compiled.kind === 'stages') return [`tessera: ${name}:`, ...explainStages(compiled, limits)].join('\n')
  const { selection, liveBytes } = compiled
  const { program } = selection
  const place = (buffer: number) => {
    const { role, offset, donatedFrom } = program.buffers[buffer]!
    return `${role[0]}${buffer}${offset === undefined ? '' : `@${offset}`}${donatedFrom === undefined ? '' : `=${donatedFrom}`}`
  }
  const lines = program.calls.map((call, i) => {
    const operands = (list: OpCall['inputs']) =>
      list.map(({ buffer, view }) => `${place(buffer)}[${view.offset}; ${view.strides.join(',')}]`).join(' ')
    return `  ${i}: ${describeCall(call)} | ${operands(call.inputs)} → ${operands(call.outputs)}`
  })
  return [`tessera: ${name}: arena ${program.arenaBytes} bytes, live ${liveBytes}`, ...lines].join('\n')
}

/** Measured beside estimated time of each call, the longest first. */
export function formatCallTimes(
  name: string,
  compiled: Compiled,
  limits: Limits,
  microseconds: readonly number[],
): string {
  const total = microseconds.reduce((sum, time) => sum + time, 0)
  if (compiled.kind === 'stages') return `tessera: ${name}: ${total.toFixed(0)} µs in ${compiled.steps.length} steps`
  const { selection } = compiled
  const order = microseconds.map((_, i) => i).sort((a, b) => microseconds[b]! - microseconds[a]!)
  const lines = order.map((i) => {
    const { call, kernel, estimatedMicroseconds } = selection.calls[i]!
    const share = ((100 * microseconds[i]!) / total).toFixed(1)
    return `  ${microseconds[i]!.toFixed(1).padStart(9)} µs ${share.padStart(5)} %  estimated ${estimatedMicroseconds.toFixed(1).padStart(8)} µs, ${reached(call, limits, microseconds[i]!)}  ${kernel.name}  ${describeCall(call)}`
  })
  return [`tessera: ${name}: ${total.toFixed(0)} µs in ${microseconds.length} calls`, ...lines].join('\n')
}
