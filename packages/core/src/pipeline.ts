import type { TesseraError } from './errors.ts'
import { type Graph, type Node, topologicalOrder } from './graph/node.ts'
import { formatGraph } from './graph/print.ts'
import { verify } from './graph/verify.ts'
import { lower } from './passes/lower.ts'
import { normalize } from './passes/normalize.ts'
import { simplify } from './passes/simplify.ts'
import type { Device, Kernel, Pass } from './plugin/contract.ts'
import { schedule } from './schedule/schedule.ts'
import { kernelLayouts, kernelTakes } from './select/compound.ts'
import { type SelectionRules, selectKernel, selectKernels } from './select/select.ts'
import { compileStages } from './stages/compile.ts'
import type { Compiled, CompiledProgram, DonorsOf } from './stages/compiled.ts'
import { isStaged } from './stages/stage-ops.ts'
import { type HostEvaluator, isWithoutKernel, moveToHost, withoutKernel } from './stages/to-host.ts'
import { trimScans } from './stages/trim.ts'

export interface PipelineOptions {
  readonly device: Device
  readonly kernels: readonly Kernel[]
  readonly passes: readonly Pass[]
  readonly rules: SelectionRules
  /** False: one call for each op. */
  readonly fuse: boolean
  /** Whether a leaf holds the same content whenever the program runs; by default none does. */
  readonly isConstant?: (leaf: Node) => boolean
  /** Told after each stage. */
  readonly onStage?: (stage: StageReport) => void
  /** Computes on the host what no kernel of the device runs; without it that is an error. */
  readonly onHost?: {
    readonly evaluator: HostEvaluator
    /** Told about the first call that had no kernel, once a program that does without is compiled. */
    notice(error: TesseraError): void
  }
}

export interface StageReport {
  readonly stage: string
  readonly milliseconds: number
  /** The graph that the stage gave, as text. */
  readonly graph?: () => string
}

/** From a recorded graph to a program with a kernel for each call: one stage a line. */
export function compileGraph(recorded: Graph, donorsOf: DonorsOf, options: PipelineOptions): Compiled {
  const { device, kernels, rules } = options
  const isWhole = (node: Node) => kernelTakes(node, kernels, device.limits, rules)
  const isStageOp = (node: Node) =>
    isStaged(node) || (node.definition.host !== undefined && !node.definition.lower && !isWhole(node))
  const used = onGraph('trim', options, () => trimScans(recorded))
  const lowered = onGraph('lower', options, () => lower(used, (node) => isStageOp(node) || isWhole(node)))
  const simple = onGraph('simplify', options, () => simplify(lowered))
  const rewritten = options.passes.reduce((graph, pass) => {
    const result = onGraph(pass.name, options, () => pass.run(graph))
    verify(result)
    return result
  }, simple)
  const normal = onGraph('normalize', options, () => simplify(normalize(rewritten)))
  verify(normal)
  const compile = (graph: Graph, evaluator?: HostEvaluator): Compiled =>
    topologicalOrder(graph.outputs).some(isStageOp)
      ? compileStages(graph, donorsOf, isStageOp, {
          recorded: (inner, donors) => compileGraph(inner, donors, options),
          normal: (inner, donors) => compileProgram(inner, donors, options),
          ...(evaluator && { evaluator }),
        })
      : compileProgram(graph, donorsOf, options)
  try {
    return compile(normal)
  } catch (error) {
    const { onHost } = options
    if (!onHost || !isWithoutKernel(error)) throw error
    const { onStage: _, ...quiet } = options
    const isForHost = withoutKernel((graph) => compileProgram(graph, () => [], quiet), rules)
    const split = onGraph('move to host', options, () => moveToHost(normal, isForHost, isStageOp, onHost.evaluator))
    const compiled = compile(split, onHost.evaluator)
    onHost.notice(error)
    return compiled
  }
}

/** From a normalised graph of primitives to a program. */
function compileProgram(graph: Graph, donorsOf: DonorsOf, options: PipelineOptions): CompiledProgram {
  const { device, kernels, rules, fuse } = options
  const leaves = topologicalOrder(graph.outputs).filter((node) => node.op === 'leaf')
  const planned = timed('schedule', options, () =>
    schedule(graph, {
      inputs: leaves,
      ...(options.isConstant && { isConstant: options.isConstant }),
      donors: donorsOf(leaves),
      limits: device.limits,
      fuse,
      layouts: (node) => kernelLayouts(node, kernels, device.limits, rules),
      estimate: (call) => {
        const choice = selectKernel(call, kernels, device.limits, rules)
        return 'kernel' in choice ? choice.estimatedMicroseconds : undefined
      },
    }),
  )
  const selection = timed('select', options, () =>
    selectKernels(planned.program, device.backend, kernels, device.limits, rules),
  )
  const { program } = planned
  const donors = program.outputs.map((id) => program.inputs.indexOf(program.buffers[id]!.donatedFrom ?? -1))
  return { kind: 'program', selection, leaves, donors, liveBytes: planned.liveBytes }
}

function onGraph(stage: string, options: PipelineOptions, run: () => Graph): Graph {
  const start = performance.now()
  const graph = run()
  options.onStage?.({ stage, milliseconds: performance.now() - start, graph: () => formatGraph(graph) })
  return graph
}

function timed<Result>(stage: string, options: PipelineOptions, run: () => Result): Result {
  const start = performance.now()
  const result = run()
  options.onStage?.({ stage, milliseconds: performance.now() - start })
  return result
}
