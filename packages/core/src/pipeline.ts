import { type Graph, type Node, topologicalOrder } from './graph/node.ts'
import { formatGraph } from './graph/print.ts'
import { verify } from './graph/verify.ts'
import { lower } from './passes/lower.ts'
import { normalize } from './passes/normalize.ts'
import { simplify } from './passes/simplify.ts'
import type { Device, Kernel, Pass } from './plugin/contract.ts'
import { schedule } from './schedule/schedule.ts'
import { kernelLayouts, kernelTakes } from './select/compound.ts'
import { type Selection, type SelectionRules, selectKernel, selectKernels } from './select/select.ts'

export interface PipelineOptions {
  readonly device: Device
  readonly kernels: readonly Kernel[]
  readonly passes: readonly Pass[]
  readonly rules: SelectionRules
  /** False: one call for each op. */
  readonly fuse: boolean
  /** Told after each stage. */
  readonly onStage?: (stage: StageReport) => void
}

export interface StageReport {
  readonly stage: string
  readonly milliseconds: number
  /** The graph that the stage gave, as text. */
  readonly graph?: () => string
}

export interface Compiled {
  readonly selection: Selection
  /** Leaves in the order in which they are bound. */
  readonly leaves: readonly Node[]
  /** Most bytes of temporaries alive at once. */
  readonly liveBytes: number
}

/** For each output of a graph, the position among the leaves of the one whose memory it may take over. */
export type DonorsOf = (leaves: readonly Node[]) => readonly (number | undefined)[]

/** From a recorded graph to a program with a kernel for each call: one stage a line. */
export function compileGraph(recorded: Graph, donorsOf: DonorsOf, options: PipelineOptions): Compiled {
  const { device, kernels, rules, fuse } = options
  const lowered = onGraph('lower', options, () =>
    lower(recorded, (node) => kernelTakes(node, kernels, device.limits, rules)),
  )
  const simple = onGraph('simplify', options, () => simplify(lowered))
  const rewritten = options.passes.reduce((graph, pass) => onGraph(pass.name, options, () => pass.run(graph)), simple)
  const normal = onGraph('normalize', options, () => simplify(normalize(rewritten)))
  const leaves = topologicalOrder(normal.outputs).filter((node) => node.op === 'leaf')
  const planned = timed('schedule', options, () =>
    schedule(normal, {
      inputs: leaves,
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
  return { selection, leaves, liveBytes: planned.liveBytes }
}

function onGraph(stage: string, options: PipelineOptions, run: () => Graph): Graph {
  const start = performance.now()
  const graph = run()
  verify(graph)
  options.onStage?.({ stage, milliseconds: performance.now() - start, graph: () => formatGraph(graph) })
  return graph
}

function timed<Result>(stage: string, options: PipelineOptions, run: () => Result): Result {
  const start = performance.now()
  const result = run()
  options.onStage?.({ stage, milliseconds: performance.now() - start })
  return result
}
