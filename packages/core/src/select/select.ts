import { TesseraError } from '../errors.ts'
import type { OpName } from '../graph/operations.ts'
import { formatShape } from '../graph/shape.ts'
import type { BackendName, Kernel, Limits, SelectedCall, SelectedProgram } from '../plugin/contract.ts'
import type { OpCall, Program } from '../schedule/program.ts'

export interface SelectionRules {
  /** By op, the name of the kernel to take whatever it costs. */
  readonly force?: Readonly<Partial<Record<OpName, string>>>
  /** Largest relative error, against float64, that a kernel may have. Without it each op takes what its plainest kernel has. */
  readonly tolerance?: number
}

/** One kernel's part in the choice for a call. */
export interface Candidate {
  readonly kernel: string
  readonly estimatedMicroseconds: number | undefined
  /** Why it was not taken; `undefined` for the one that was. */
  readonly refused: string | undefined
}

export interface Choice<B extends BackendName = BackendName> extends SelectedCall<B> {
  readonly candidates: readonly Candidate[]
}

/** Kernels with a larger error than this are taken only where the caller allows it. */
export const defaultTolerance = 1e-4

/** Chooses a kernel for a call: of those that can run it within the tolerance the one with the least estimated time. */
export function selectKernel<B extends BackendName>(
  call: OpCall,
  kernels: readonly Kernel<OpName, B>[],
  limits: Limits,
  rules: SelectionRules = {},
): Choice<B> | { readonly candidates: readonly Candidate[] } {
  const tolerance = rules.tolerance ?? defaultTolerance
  const forced = rules.force?.[call.op]
  const rated = kernels
    .filter((kernel) => kernel.op === call.op)
    .map((kernel) => {
      const takesEpilogue = !call.epilogue || kernel.epilogues === true
      const cost = takesEpilogue ? kernel.cost(call, limits) : undefined
      let refused: string | undefined
      if (forced !== undefined && kernel.name !== forced) refused = `'${forced}' is forced`
      else if (!takesEpilogue) refused = 'takes no epilogue'
      else if (cost === undefined) refused = 'cannot run this call'
      else if (forced === undefined && kernel.tolerance > tolerance)
        refused = `error ${kernel.tolerance} exceeds the tolerance ${tolerance}`
      return { kernel, cost, refused }
    })
  let best: (typeof rated)[number] | undefined
  for (const candidate of rated) if (!candidate.refused && (!best || candidate.cost! < best.cost!)) best = candidate
  const candidates = rated.map(
    (candidate): Candidate => ({
      kernel: candidate.kernel.name,
      estimatedMicroseconds: candidate.cost,
      refused: candidate === best ? undefined : (candidate.refused ?? `${best!.kernel.name} is estimated faster`),
    }),
  )
  return best ? { call, kernel: best.kernel, estimatedMicroseconds: best.cost!, candidates } : { candidates }
}

export interface Selection<B extends BackendName = BackendName> extends SelectedProgram<B> {
  readonly calls: readonly Choice<B>[]
}

/** Chooses a kernel for every call of a program. */
export function selectKernels<B extends BackendName>(
  program: Program,
  backend: B,
  kernels: readonly Kernel<OpName, B>[],
  limits: Limits,
  rules: SelectionRules = {},
): Selection<B> {
  const calls = program.calls.map((call) => {
    const choice = selectKernel(call, kernels, limits, rules)
    if (!('kernel' in choice)) throw noKernel(call, backend, choice.candidates)
    return choice
  })
  return { program, calls }
}

function noKernel(call: OpCall, backend: string, candidates: readonly Candidate[]): TesseraError {
  const operands = call.inputs.map(({ dtype, view }) => `${dtype}${formatShape(view.shape)}`).join(', ')
  const known = candidates.map(({ kernel, refused }) => `${kernel}: ${refused}`).join('; ')
  return new TesseraError(
    'NO_KERNEL',
    `${call.op}(${operands}): no kernel of backend '${backend}' runs this call (${known || 'it has none for this op'}). ` +
      'Use another backend, add a plugin that brings a kernel, or cast the operands to f32.',
  )
}
