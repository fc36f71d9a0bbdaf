import { formatSpec, type Graph, type Node } from '../graph/node.ts'
import type { OpAttributes } from '../graph/operations.ts'
import { Subgraph } from '../graph/subgraph.ts'
import { type LoopBody, scanBody, whileBody } from './bodies.ts'
import type { Compiled, CompiledProgram, CompiledStages, CompiledStep, DonorsOf } from './compiled.ts'
import { type Partition, partition, type StageOp, type Step } from './partition.ts'
import { type HostEvaluator, hostStep, isWithoutKernel } from './to-host.ts'

/** How the rest of the pipeline compiles: from a recorded function, or from a normalised graph. */
export interface Compilers {
  recorded(graph: Graph, donorsOf: DonorsOf): Compiled
  normal(graph: Graph, donorsOf: DonorsOf): CompiledProgram
  /** Where values that no kernel copies are copied: into the memory of a loop, for example. */
  readonly evaluator?: HostEvaluator
}

type ProgramStep = Extract<Step, { kind: 'program' }>

const none: DonorsOf = () => []

/** Compiles a normalised graph that holds ops which no program can. */
export function compileStages(
  graph: Graph,
  donorsOf: DonorsOf,
  isStageOp: (node: Node) => boolean,
  compilers: Compilers,
): CompiledStages {
  const bodies = new Map<Node, Body>()
  const stageOp = (node: Node): StageOp | undefined => {
    if (!isStageOp(node)) return undefined
    const inPlace = node.op === 'scan' || node.op === 'whileLoop' ? carriesOf(node) : 0
    const alternating = inPlace > 0 ? bodyOf(node).alternating : undefined
    const counters = node.op === 'scan' ? 1 : 0
    return { inPlace, writesAnywhere: (output) => !alternating?.has(output + counters) }
  }
  const bodyOf = (node: Node): Body => {
    const known = bodies.get(node) ?? compileBody(node, compilers)
    bodies.set(node, known)
    return known
  }
  const parts = partition(graph, stageOp)
  const slots = [...parts.slots]
  const leaves = [...parts.leaves.keys()]
  const wanted = donorsOf(leaves)
  const donors = settleDonors(parts, leaves, wanted)
  const compileStep = (step: ProgramStep, at: number): CompiledStep => {
    const compiled = compilers.normal(step.graph, (bound) =>
      step.outputs.map((slot) => {
        const donor = donors.find((candidate) => candidate.step === at && parts.outputs[candidate.output] === slot)
        const position = donor ? bound.indexOf(leaves[donor.leaf]!) : -1
        return position < 0 ? undefined : position
      }),
    )
    return {
      kind: 'program',
      compiled,
      inputs: compiled.leaves.map((leaf) => step.inputs.get(leaf)!),
      outputs: step.outputs,
    }
  }
  const steps = parts.steps.flatMap((step, at): CompiledStep[] => {
    if (step.kind !== 'program') return [compileOp(step, slots, bodyOf, compilers)]
    try {
      return [compileStep(step, at)]
    } catch (error) {
      const { evaluator } = compilers
      const copies = step.graph.outputs.map(({ op }) => op === 'leaf')
      if (!evaluator || !isWithoutKernel(error) || !copies.includes(true)) throw error
      const rest = outputsWhere(step, (output) => !copies[output])
      const copied = copyOnHost(
        outputsWhere(step, (output) => copies[output]!),
        evaluator,
      )
      return rest.outputs.length > 0 ? [compileStep(rest, at), copied] : [copied]
    }
  })
  const settled = parts.outputs.map((slot) => {
    for (const step of steps) {
      if (step.kind !== 'program') continue
      const at = step.outputs.indexOf(slot)
      const donor = at < 0 ? -1 : step.compiled.donors[at]!
      if (donor >= 0) return leaves.indexOf(step.compiled.leaves[donor]!)
    }
    return -1
  })
  return { kind: 'stages', leaves, donors: settled, steps, slots }
}

/** A program with some of its outputs. */
const outputsWhere = (step: ProgramStep, take: (output: number) => boolean): ProgramStep => ({
  ...step,
  graph: { outputs: step.graph.outputs.filter((_, output) => take(output)) },
  outputs: step.outputs.filter((_, output) => take(output)),
})

function copyOnHost({ graph, inputs, outputs }: ProgramStep, evaluator: HostEvaluator): CompiledStep {
  const leaves = [...new Set(graph.outputs)]
  const computes = graph.outputs.map((output) => `copy(${formatSpec(output)})`)
  const node = hostStep(leaves, new Subgraph(leaves, graph.outputs), computes, evaluator)
  return { kind: 'host', node, inputs: leaves.map((each) => inputs.get(each)!), outputs }
}

const carriesOf = (node: Node): number => (node.attributes as OpAttributes['scan' | 'whileLoop']).carries

/** Donations that are safe: no step after the one that writes the output reads the leaf. */
function settleDonors(parts: Partition, leaves: readonly Node[], wanted: readonly (number | undefined)[]) {
  const reads = (step: Step, slot: number) =>
    step.kind === 'program' ? [...step.inputs.values()].includes(slot) : step.inputs.includes(slot)
  return wanted.flatMap((leaf, output) => {
    if (leaf === undefined) return []
    const slot = parts.leaves.get(leaves[leaf]!)!
    const step = parts.steps.findIndex(
      ({ kind, outputs }) => kind === 'program' && outputs.includes(parts.outputs[output]!),
    )
    const isSafe = step >= 0 && !parts.steps.some((other, at) => at > step && reads(other, slot))
    return isSafe ? [{ leaf, output, step }] : []
  })
}

/** A loop's step, compiled. */
interface Body extends LoopBody {
  readonly compiled: Compiled
  /** Outputs of the body whose memory alternates. */
  readonly alternating: ReadonlySet<number>
}

function compileBody(node: Node, compilers: Compilers): Body {
  const made =
    node.op === 'scan'
      ? scanBody(node.attributes as OpAttributes['scan'])
      : whileBody(node.attributes as OpAttributes['whileLoop'])
  // Outputs take over what they replace: the first parameters.
  const replaced = node.op === 'scan' ? made.graph.outputs.length : carriesOf(node)
  const compiled = compilers.recorded(made.graph, (bound) =>
    made.graph.outputs.map((_, i) => {
      const position = i < replaced ? bound.indexOf(made.parameters[i]!) : -1
      return position < 0 ? undefined : position
    }),
  )
  const alternating = new Set<number>()
  for (let i = 0; i < replaced; i++) {
    if (compiled.donors[i]! < 0 && compiled.leaves.includes(made.parameters[i]!)) alternating.add(i)
  }
  return { ...made, compiled, alternating }
}

function compileOp(
  { node, inputs, outputs }: Extract<Step, { kind: 'op' }>,
  slots: number[],
  bodyOf: (node: Node) => Body,
  compilers: Compilers,
): CompiledStep {
  const slot = (bytes: number) => slots.push(bytes) - 1
  const call = (compiled: Compiled, parameters: readonly Node[], from: readonly number[], to: readonly number[]) => ({
    compiled,
    inputs: compiled.leaves.map((leaf) => from[parameters.indexOf(leaf)]!),
    outputs: to,
  })
  switch (node.op) {
    case 'scan': {
      const { length, carries } = node.attributes as OpAttributes['scan']
      const { compiled, parameters, alternating } = bodyOf(node)
      const counter = slot(4)
      const from = [counter, ...outputs, ...inputs.slice(carries)]
      return {
        kind: 'loop',
        times: length,
        counter,
        body: call(compiled, parameters, from, [counter, ...outputs]),
        alternating: [...alternating].map((output) => ({ output, input: from[output]! })),
      }
    }
    case 'whileLoop': {
      const { condition, carries } = node.attributes as OpAttributes['whileLoop']
      const { compiled, parameters, alternating } = bodyOf(node)
      const predicate = slot(1)
      const from = [...outputs, ...inputs.slice(carries)]
      const test = compilers.recorded({ outputs: condition.outputs }, none)
      return {
        kind: 'loop',
        times: { test: call(test, condition.parameters, from, [predicate]), predicate },
        body: call(compiled, parameters, from, [...outputs, predicate]),
        alternating: [...alternating].map((output) => ({ output, input: from[output]! })),
      }
    }
    case 'cond': {
      const { whenTrue, whenFalse } = node.attributes as OpAttributes['cond']
      const [predicate, ...operands] = inputs
      const branch = ({ outputs: results, parameters }: typeof whenTrue) =>
        call(compilers.recorded({ outputs: results }, none), parameters, operands, outputs)
      return { kind: 'branch', predicate: predicate!, whenTrue: branch(whenTrue), whenFalse: branch(whenFalse) }
    }
    default:
      return { kind: 'host', node, inputs, outputs }
  }
}
