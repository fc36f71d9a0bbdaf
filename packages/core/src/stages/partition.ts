import { leaf } from '../graph/build.ts'
import { formatOf } from '../graph/format.ts'
import { isMovement } from '../graph/kinds.ts'
import { createNode, type Graph, type Node, type TensorSpec, topologicalOrder } from '../graph/node.ts'
import type { OpAttributes } from '../graph/operations.ts'
import { sizeOf } from '../graph/shape.ts'

/** One after the other; values that go from one step to another lie in slots. */
export type Step =
  | {
      readonly kind: 'program'
      readonly graph: Graph
      /** The slot that each leaf of the graph is read from, and that each output is written to. */
      readonly inputs: ReadonlyMap<Node, number>
      readonly outputs: readonly number[]
    }
  | {
      readonly kind: 'op'
      readonly node: Node
      readonly inputs: readonly number[]
      readonly outputs: readonly number[]
    }

export interface Partition {
  readonly steps: readonly Step[]
  /** Bytes of each slot. */
  readonly slots: readonly number[]
  /** Slots of the graph's leaves and of its outputs. */
  readonly leaves: ReadonlyMap<Node, number>
  readonly outputs: readonly number[]
}

export interface StageOp {
  /** Inputs that the op works on in place: their slots are those of the outputs of the same number. */
  readonly inPlace: number
  /** Whether output memory that the caller chose can be used for an output. */
  writesAnywhere(output: number): boolean
}

/**
 * Cuts a graph at the ops that no program holds (loops, branches, host ops): programs compute everything that lies between.
 * Each value is computed in the first program that can; what is made of constants, and views, where it is used.
 *
 * @param stageOp what is known of an op that is a step of its own, `undefined` for all others
 */
export function partition(graph: Graph, stageOp: (node: Node) => StageOp | undefined): Partition {
  return new Partitioner(graph, stageOp).run()
}

interface Root {
  readonly node: Node
  readonly slot: number
}

class Partitioner {
  readonly #graph: Graph
  readonly #order: readonly Node[]
  readonly #stageOps = new Map<Node, StageOp>()
  /** Steps of their own that have to come before a node can be computed, along the longest path. */
  readonly #levels = new Map<Node, number>()
  /** What depends on constants only. */
  readonly #generated = new Set<Node>()
  readonly #slots: number[] = []
  readonly #slotOf = new Map<Node | string, number>()
  readonly #outputsOf = new Map<Node, number[]>()
  readonly #roots: Root[][] = []

  constructor(graph: Graph, stageOp: (node: Node) => StageOp | undefined) {
    this.#graph = graph
    this.#order = topologicalOrder(graph.outputs)
    for (const node of this.#order) {
      const known = stageOp(node)
      if (known) this.#stageOps.set(node, known)
      const own = node.inputs.map((input) => this.#levels.get(input)! + (this.#stageOps.has(input) ? 1 : 0))
      this.#levels.set(node, Math.max(0, ...own))
      if (node.op !== 'leaf' && !known && node.inputs.every((input) => this.#generated.has(input)))
        this.#generated.add(node)
    }
  }

  run(): Partition {
    const leaves = new Map<Node, number>()
    for (const node of this.#order) if (node.op === 'leaf') leaves.set(node, this.#slot(node))
    for (const [node, slot] of leaves) this.#slotOf.set(node, slot)
    const outputs = this.#graph.outputs.map((output) => this.#slot(output))
    this.#graph.outputs.forEach((output, i) => {
      const source = this.#sourceOf(output)
      const taken = source && this.#outputsOf.get(source.node)?.[source.index] !== undefined
      if (source && !taken && this.#stageOps.get(source.node)!.writesAnywhere(source.index)) {
        const slots = this.#outputsOf.get(source.node) ?? []
        slots[source.index] = outputs[i]!
        this.#outputsOf.set(source.node, slots)
      } else this.#root(this.#levelOf(output), output, outputs[i]!)
    })
    const ops = this.#order.filter((node) => this.#stageOps.has(node))
    const steps = new Map<Node, Step>()
    for (const node of ops) {
      const slots = this.#outputsOf.get(node) ?? []
      this.#outputsOf.set(node, slots)
      node.outputs.forEach((spec, i) => {
        slots[i] ??= this.#slot(spec)
      })
    }
    for (const node of [...ops].reverse()) {
      const { inPlace } = this.#stageOps.get(node)!
      const slots = this.#outputsOf.get(node)!
      const inputs = node.inputs.map((input, i) => {
        if (i >= inPlace) return this.#slotFor(input, this.#levels.get(node)!)
        this.#root(this.#levels.get(node)!, input, slots[i]!)
        return slots[i]!
      })
      steps.set(node, { kind: 'op', node, inputs, outputs: slots })
    }
    // Later programs say what they want of earlier ones.
    const programs: (Step | undefined)[] = []
    for (let level = Math.max(...this.#levels.values()) + 1; level >= 0; level--) programs[level] = this.#program(level)
    const all = programs.flatMap((program, level) => [
      ...(program ? [program] : []),
      ...ops.filter((node) => this.#levels.get(node) === level).map((node) => steps.get(node)!),
    ])
    return { steps: all, slots: this.#slots, leaves, outputs }
  }

  #slot({ shape, dtype }: TensorSpec): number {
    return this.#slots.push(sizeOf(shape) * formatOf(dtype).bytes) - 1
  }

  #root(level: number, node: Node, slot: number): void {
    const roots = this.#roots[level] ?? []
    this.#roots[level] = roots
    roots.push({ node, slot })
  }

  /** The level at which a value can be read. */
  #levelOf(node: Node): number {
    return this.#levels.get(node)! + (this.#stageOps.has(node) ? 1 : 0)
  }

  /** The step, and which of its outputs, that a node is read from. */
  #sourceOf(node: Node): { readonly node: Node; readonly index: number } | undefined {
    if (this.#stageOps.has(node)) return { node, index: 0 }
    const [source] = node.inputs
    if (node.op !== 'output' || !this.#stageOps.has(source!)) return undefined
    return { node: source!, index: (node.attributes as OpAttributes['output']).index }
  }

  /** Where a value lies for a step of its own, or a program, at `level`. */
  #slotFor(node: Node, level: number): number {
    const source = this.#sourceOf(node)
    if (source) return this.#outputsOf.get(source.node)![source.index]!
    // What is made of constants is made anew by the program before each level that wants it.
    const made = this.#generated.has(node) ? level : this.#levels.get(node)!
    const key = this.#generated.has(node) ? `${node.id} ${level}` : node
    const known = this.#slotOf.get(key)
    if (known !== undefined) return known
    const slot = this.#slot(node)
    this.#slotOf.set(key, slot)
    this.#root(made, node, slot)
    return slot
  }

  #program(level: number): Step | undefined {
    const roots = this.#roots[level]
    if (!roots) return undefined
    const crosses = (node: Node) =>
      this.#sourceOf(node) !== undefined ||
      (this.#levels.get(node)! < level && node.op !== 'leaf' && !isMovement(node) && !this.#generated.has(node))
    const inputs = new Map<Node, number>()
    const clones = new Map<Node, Node>()
    const needed = new Set<Node>()
    const stack = roots.map(({ node }) => node)
    while (stack.length > 0) {
      const node = stack.pop()!
      if (needed.has(node)) continue
      needed.add(node)
      if (!crosses(node)) stack.push(...node.inputs)
    }
    for (const node of [...needed].sort((a, b) => a.id - b.id)) {
      if (node.op === 'leaf') {
        inputs.set(node, this.#slotOf.get(node)!)
        clones.set(node, node)
      } else if (crosses(node)) {
        const stand = leaf(node.shape, node.dtype)
        inputs.set(stand, this.#slotFor(node, level))
        clones.set(node, stand)
      } else {
        const operands = node.inputs.map((input) => clones.get(input)!)
        const same = operands.every((operand, i) => operand === node.inputs[i])
        clones.set(node, same ? node : createNode(node.definition, operands, node.attributes))
      }
    }
    return {
      kind: 'program',
      graph: { outputs: roots.map(({ node }) => clones.get(node)!) },
      inputs,
      outputs: roots.map(({ slot }) => slot),
    }
  }
}
