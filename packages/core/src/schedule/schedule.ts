import { formatOf } from '../graph/format.ts'
import { isElementwise, isMovement, isReduction } from '../graph/kinds.ts'
import { type Graph, type Node, topologicalOrder } from '../graph/node.ts'
import type { FusedBody, FusedInstruction, OpAttributes } from '../graph/operations.ts'
import { sameShape, sizeOf } from '../graph/shape.ts'
import { hasAdjacentRows, isRowMajor, reshapeView, rowMajorView, sliceView, type View } from '../graph/view.ts'
import type { KernelLayouts, Limits } from '../plugin/contract.ts'
import { type BodyOperand, buildBody, buildLoop, collapse, throughPlace } from './body.ts'
import { type Candidate, type EpilogueLoop, epilogueCandidates, toEpilogue } from './epilogue.ts'
import { type Group, Grouping, isIdentity, mergeBoundaries, trailingProducts } from './groups.ts'
import { inverseOrder } from './inverse-order.ts'
import { type Block, type DraftCall, type DraftOperand, link, unlinked } from './link.ts'
import type { OpCall, Program } from './program.ts'
import { chooseRecomputed } from './recompute.ts'
import { ViewResolver } from './resolve.ts'
import { shareLoads } from './shared-loads.ts'

export interface ScheduleOptions {
  /** Leaves in the order in which they are bound. */
  readonly inputs: readonly Node[]
  /** Whether a leaf holds the same content at every run. */
  readonly isConstant?: (leaf: Node) => boolean
  /** For each output, the input whose memory it may take over. */
  readonly donors?: readonly (number | undefined)[]
  readonly limits: Limits
  /** One call for each op when false: to compare with. */
  readonly fuse?: boolean
  /** How operands of an op's kernel may lie; in row-major order only when that is not told. */
  readonly layouts?: (node: Node) => KernelLayouts | undefined
  /** Estimated microseconds of a call, or `undefined` where no kernel runs it. Without it, calls get no epilogues. */
  readonly estimate?: (call: OpCall) => number | undefined
}

export interface Schedule {
  readonly program: Program
  /** Most bytes of temporaries alive at once; the plan's `arenaBytes` is at least this. */
  readonly liveBytes: number
}

/** Where a value lies. */
interface Place {
  readonly block: Block
  readonly view: View
}

/** Orders a normalised graph of primitives into calls and plans their memory. */
export function schedule(graph: Graph, options: ScheduleOptions): Schedule {
  return new Scheduler(graph, options).run()
}

class Scheduler {
  readonly #graph: Graph
  readonly #options: ScheduleOptions
  readonly #views = new ViewResolver()
  readonly #users = new Map<Node, Node[]>()
  readonly #places = new Map<Node, Place>()
  readonly #layouts = new Map<Node, KernelLayouts | undefined>()
  readonly #calls: DraftCall[] = []
  readonly #inputs: Block[]
  readonly #outputs: Block[] = []

  constructor(graph: Graph, options: ScheduleOptions) {
    this.#graph = graph
    this.#options = options
    this.#inputs = options.inputs.map((node) => {
      const isConstant = options.isConstant?.(node) ?? false
      const block: Block = { bytes: bytesOf(node), role: 'input', isConstant }
      this.#places.set(node, { block, view: rowMajorView(node.shape) })
      return block
    })
  }

  run(): Schedule {
    const order = topologicalOrder(this.#graph.outputs)
    const sources = new Set(['leaf', 'constant', 'iota'])
    const computing = order.filter(
      (node) => !sources.has(node.op) && sizeOf(node.shape) > 0 && (!isMovement(node) || this.#views.isCopy(node)),
    )
    for (const node of computing) {
      for (const input of node.inputs) {
        const { base } = this.#views.resolve(input)
        const users = this.#users.get(base) ?? []
        this.#users.set(base, users)
        users.push(node)
      }
    }
    this.#placeOutputs()
    const outputs = new Set(this.#graph.outputs.map((output) => this.#views.resolve(output).base))
    const grouping = new Grouping(computing, this.#views, this.#users, outputs, {
      fuse: this.#options.fuse ?? true,
      maximumOperands: this.#options.limits.maximumOperands,
    })
    const recomputed =
      (this.#options.fuse ?? true)
        ? chooseRecomputed(grouping, this.#views, this.#users, outputs)
        : new Map<Group, ReadonlySet<Node>>()
    const read = this.#valuesRead(grouping, recomputed)
    this.#placeInsideOthers(computing, grouping, outputs)
    const candidates = this.#epilogueCandidates(grouping, recomputed, outputs)
    const waiting = new Set([...candidates.values()].map(({ call }) => call))
    for (const group of grouping.groups) {
      if ([...group.nodes].some((node) => this.#skipped.has(node)) || waiting.has(group)) continue
      if (group.kind === 'call') {
        this.#call([...group.nodes][0]!)
        continue
      }
      const inside = recomputed.get(group) ?? new Set<Node>()
      const stored = [...group.nodes].filter((node) => outputs.has(node) || read.has(node))
      const candidate = candidates.get(group)
      if (candidate) this.#callAndLoops(candidate, inside, stored, outputs)
      else this.#calls.push(this.#fused(group, inside, stored))
    }
    this.#copyOutputs()
    return link({ inputs: this.#inputs, outputs: this.#outputs, calls: this.#calls }, this.#options.limits)
  }

  /** Values that some group reads from memory. */
  #valuesRead(grouping: Grouping, recomputed: ReadonlyMap<Group, ReadonlySet<Node>>): Set<Node> {
    const read = new Set<Node>()
    for (const group of grouping.groups) {
      const own = recomputed.get(group)
      for (const node of [...group.nodes, ...(own ?? [])]) {
        // What a barrier comes after, it does not read.
        for (const input of node.op === 'barrier' ? node.inputs.slice(0, 1) : node.inputs) {
          const { base } = this.#views.resolve(input)
          if (!group.nodes.has(base) && !own?.has(base)) read.add(base)
        }
      }
    }
    return read
  }

  #epilogueCandidates(
    grouping: Grouping,
    recomputed: ReadonlyMap<Group, ReadonlySet<Node>>,
    outputs: ReadonlySet<Node>,
  ): Map<Group, Candidate> {
    const { estimate, fuse = true } = this.#options
    if (!fuse || !estimate) return new Map()
    const candidates = epilogueCandidates(grouping, recomputed, this.#views)
    for (const [loops, { node }] of candidates) {
      const isPlacedElsewhere = this.#places.has(node) && !outputs.has(node)
      const isSkipped = [node, ...loops.nodes].some((other) => this.#skipped.has(other))
      if (isPlacedElsewhere || isSkipped) candidates.delete(loops)
    }
    return candidates
  }

  /** A call and the loops that follow it: as one call, where a kernel is estimated to take no longer for it than for two. */
  #callAndLoops(
    candidate: Candidate,
    recomputed: ReadonlySet<Node>,
    stored: readonly Node[],
    outputs: ReadonlySet<Node>,
  ): void {
    const { node, loops, isReadLater } = candidate
    const estimate = (draft: DraftCall) => this.#options.estimate!(unlinked(draft))
    const call = this.#kernelDraft(node)
    const epilogue = this.#epilogue(candidate, recomputed, stored, outputs.has(node) || isReadLater)
    const after = this.#fused(loops, recomputed, stored)
    if (epilogue) {
      const { result, body } = epilogue
      const merged: DraftCall = {
        ...call,
        inputs: [...call.inputs, ...epilogue.inputs.map((input) => this.#drafted(input))],
        outputs: epilogue.outputs.map((output) => this.#drafted(output)),
        epilogue: { result, body, firstInput: call.inputs.length },
      }
      const fits = merged.inputs.length + merged.outputs.length <= this.#options.limits.maximumOperands
      const together = fits ? estimate(merged) : undefined
      if (together !== undefined && together <= (estimate(call) ?? Number.POSITIVE_INFINITY) + (estimate(after) ?? 0)) {
        this.#calls.push(merged)
        return
      }
    }
    this.#calls.push(call, after)
  }

  #epilogue(
    { node, loops }: Candidate,
    recomputed: ReadonlySet<Node>,
    stored: readonly Node[],
    storesResult: boolean,
  ): EpilogueLoop | undefined {
    const boundaries = mergeBoundaries(loops.boundaries, trailingProducts(node.shape))
    if (!boundaries) return undefined
    const place = (other: Node) => this.#place(other).view
    const loop = buildLoop({ ...loops, boundaries }, recomputed, this.#views, stored, place)
    return toEpilogue(loop, loops.rowLength, node, storesResult)
  }

  /** An output that is computed in row-major order is computed where it is wanted. */
  #placeOutputs(): void {
    this.#graph.outputs.forEach((output, i) => {
      const donor = this.#options.donors?.[i]
      const block: Block = {
        bytes: bytesOf(output),
        role: 'output',
        ...(donor !== undefined && { donatedFrom: this.#inputs[donor]! }),
      }
      this.#outputs.push(block)
      const resolved = this.#views.resolve(output)
      const computed = !['leaf', 'constant', 'iota'].includes(resolved.base.op)
      if (computed && isIdentity(resolved) && !this.#places.has(resolved.base)) {
        this.#places.set(resolved.base, { block, view: rowMajorView(resolved.base.shape) })
      }
    })
  }

  readonly #skipped = new Set<Node>()

  /**
   * A value whose only reader copies it elsewhere, as a part of a concatenation or into another order of axes, is written there
   * at once.
   */
  #placeInsideOthers(computing: readonly Node[], grouping: Grouping, outputs: ReadonlySet<Node>): void {
    for (const node of [...computing].reverse()) {
      if (node.op === 'concatenate' || node.op === 'pad') {
        this.#place(node)
        this.#partPlaces(node).forEach((view, i) => {
          const part = this.#views.resolve(node.inputs[i]!)
          if (!this.#isOnlyFor(part.base, node, outputs) || !isIdentity(part)) return
          const within = reshapeView(view, part.base.shape)
          if (within && this.#writes(part.base, within))
            this.#places.set(part.base, { block: this.#place(node).block, view: within })
        })
      } else if (this.#views.isCopy(node) && grouping.groupOf(node)!.nodes.size === 1) {
        const target = this.#place(node)
        const { base, view } = this.#views.resolve(node.inputs[0]!)
        const within = this.#isOnlyFor(base, node, outputs) ? reshapeView(target.view, view.shape) : undefined
        const written = within && inverseOrder(view, base, within.strides)
        const place = written && { shape: base.shape, strides: written, offset: target.view.offset }
        if (place && this.#writes(base, place)) {
          this.#places.set(base, { block: target.block, view: place })
          this.#skipped.add(node)
        }
      }
    }
  }

  /**
   * True when what computes a value can write it to a place. Kernels write rows: their elements have to stay neighbours. A copy is written in
   * the axes of what it reads.
   */
  #writes(base: Node, place: View): boolean {
    if (this.#views.isCopy(base) && !reshapeView(place, base.inputs[0]!.shape)) return false
    return this.#layoutsOf(base) === undefined || hasAdjacentRows(place)
  }

  /** The layouts that the kernel takes which computes a value. */
  #layoutsOf(node: Node): KernelLayouts | undefined {
    const call = node.op === 'output' ? node.inputs[0]! : node
    if (isElementwise(call) || isReduction(call) || isMovement(call)) return undefined
    if (!this.#layouts.has(call)) this.#layouts.set(call, this.#options.layouts?.(call))
    return this.#layouts.get(call)
  }

  /** True when a value that this program computes may be written where `reader` copies it: the others read it through strides. */
  #isOnlyFor(base: Node, reader: Node, outputs: ReadonlySet<Node>): boolean {
    const writable =
      this.#layoutsOf(base) !== undefined ||
      base.op === 'concatenate' ||
      isElementwise(base) ||
      isReduction(base) ||
      this.#views.isCopy(base)
    const users = this.#users.get(base)!
    return (
      writable &&
      !outputs.has(base) &&
      !this.#places.has(base) &&
      users.filter((user) => user === reader).length === 1 &&
      users.every((user) => user === reader || this.#readsThroughStrides(user, base))
    )
  }

  /** True for a node that reads a value axis by axis, wherever it lies: the loops of such a node have the value's axes. */
  #readsThroughStrides(user: Node, base: Node): boolean {
    if (!isElementwise(user) && this.#layoutsOf(user) === undefined) return false
    return user.inputs.every((input) => {
      const resolved = this.#views.resolve(input)
      return resolved.base !== base || (isIdentity(resolved) && sameShape(resolved.view.shape, base.shape))
    })
  }

  /** Where the parts of a concatenation, or the inside of a padded tensor, lie in it. */
  #partPlaces(node: Node): View[] {
    const { view } = this.#place(node)
    const ones = node.shape.map(() => 1)
    if (node.op === 'pad')
      return [sliceView(view, (node.attributes as OpAttributes['pad']).low, node.inputs[0]!.shape, ones)]
    const { axis } = node.attributes as OpAttributes['concatenate']
    let start = 0
    return node.inputs.map((input) => {
      const starts = node.shape.map((_, i) => (i === axis ? start : 0))
      start += input.shape[axis]!
      return sliceView(view, starts, input.shape, ones)
    })
  }

  /** The memory of a value; a temporary unless it has been given a place before. */
  #place(node: Node): Place {
    const known = this.#places.get(node)
    if (known) return known
    const place: Place = {
      block: { bytes: bytesOf(node), role: 'temporary' },
      view: rowMajorView(node.shape),
    }
    this.#places.set(node, place)
    return place
  }

  #fused(group: Group, recomputed: ReadonlySet<Node>, stored: readonly Node[]): DraftCall {
    const { body, inputs, outputs } = buildBody(
      group,
      recomputed,
      this.#views,
      stored,
      (node) => this.#place(node).view,
    )
    const drafted = (operand: BodyOperand) => this.#drafted(operand)
    const shared = shareLoads(body, inputs.map(drafted))
    return { op: 'fused', attributes: shared.body, inputs: shared.inputs, outputs: outputs.map(drafted) }
  }

  #drafted({ node, dtype, view }: BodyOperand): DraftOperand {
    return { block: this.#place(node).block, dtype, view }
  }

  #call(node: Node): void {
    if (node.op === 'output') return
    if (node.op === 'concatenate') this.#concatenate(node)
    else if (node.op === 'pad') this.#pad(node)
    else if (node.op === 'scatter') this.#scatter(node)
    else if (node.op === 'barrier') this.#barrier(node)
    else this.#calls.push(this.#kernelDraft(node))
  }

  /** The value stays where it lies, unless it has to be rearranged or given out. */
  #barrier(node: Node): void {
    const resolved = this.#views.resolve(node.inputs[0]!)
    const generated = resolved.base.op === 'constant' || resolved.base.op === 'iota'
    if (!generated && isIdentity(resolved) && !this.#places.has(node)) {
      const { block, view } = this.#place(resolved.base)
      if (isRowMajor(view)) {
        this.#places.set(node, { block, view: { ...rowMajorView(node.shape), offset: view.offset } })
        return
      }
    }
    this.#copy(node.inputs[0]!, this.#written(node))
  }

  /** Views that have to be copied for the call are copied by calls of their own, at once. */
  #kernelDraft(node: Node): DraftCall {
    const layouts = this.#layoutsOf(node)
    const inputs = node.inputs.map((input) => this.#operand(input, layouts))
    const outputs = node.outputs.length === 1 ? [node] : this.#outputNodes(node)
    return {
      op: node.op,
      attributes: node.attributes,
      inputs,
      outputs: outputs.map((output) => this.#written(output)),
    }
  }

  /** The nodes that stand for a node's outputs; outputs that nobody reads get memory all the same. */
  #outputNodes(node: Node): Node[] {
    const readers = (this.#users.get(node) ?? []).filter((user) => user.op === 'output')
    return node.outputs.map((spec, index) => {
      const reader = readers.find((user) => (user.attributes as OpAttributes['output']).index === index)
      return reader ?? ({ ...node, ...spec, inputs: [], outputs: [spec] } as Node)
    })
  }

  #written(node: Node): DraftOperand {
    const { block, view } = this.#place(node)
    return { block, dtype: node.dtype, view }
  }

  /** What a call reads. Constants, and views that the kernel does not take, are written out first. */
  #operand(input: Node, layouts: KernelLayouts | undefined): DraftOperand {
    const { base, view } = this.#views.resolve(input)
    const generated = base.op === 'constant' || base.op === 'iota'
    const taken = layouts === 'any' || isRowMajor(view) || (layouts === 'rows' && hasAdjacentRows(view))
    if (!generated && taken) {
      const place = this.#place(base)
      return { block: place.block, dtype: input.dtype, view: throughPlace(view, place.view) }
    }
    const block: Block = { bytes: bytesOf(input), role: 'temporary' }
    const target = { block, dtype: input.dtype, view: rowMajorView(input.shape) }
    this.#copy(input, target)
    return target
  }

  /** A loop that copies a view (or a constant) to a place. */
  #copy(source: Node, target: DraftOperand): void {
    const { base, view } = this.#views.resolve(source)
    const { dtype } = source
    if (base.op === 'constant') this.#fill(target, (base.attributes as OpAttributes['constant']).value)
    else if (base.op === 'iota')
      this.#loop({ kind: 'iota', strides: view.strides, offset: view.offset, dtype }, [], target)
    else {
      const place = this.#place(base)
      this.#loop(
        { kind: 'load', input: 0, dtype },
        [{ block: place.block, dtype, view: throughPlace(view, place.view) }],
        target,
      )
    }
  }

  #fill(target: DraftOperand, value: number): void {
    this.#loop({ kind: 'constant', value, dtype: target.dtype }, [], target)
  }

  /** Computes one instruction at each element of a place. */
  #loop(instruction: FusedInstruction, inputs: readonly DraftOperand[], target: DraftOperand): void {
    const body: FusedBody = {
      domain: target.view.shape,
      kind: 'map',
      rowAxes: 0,
      reducedStart: 0,
      reducedEnd: 0,
      instructions: [instruction],
      stores: [0],
    }
    const loop = collapse({ body, inputs, outputs: [target] })
    this.#calls.push({ op: 'fused', attributes: loop.body, inputs: loop.inputs, outputs: loop.outputs })
  }

  #concatenate(node: Node): void {
    const { block } = this.#place(node)
    this.#partPlaces(node).forEach((view, i) => {
      this.#part(node.inputs[i]!, { block, dtype: node.dtype, view })
    })
  }

  #pad(node: Node): void {
    const target = this.#written(node)
    const attributes = node.attributes as OpAttributes['pad']
    const inside = { ...target, view: this.#partPlaces(node)[0]! }
    const early = this.#calls.length
    this.#fill(target, attributes.value)
    const written = this.#places.get(this.#views.resolve(node.inputs[0]!).base)
    if (written?.block === target.block) {
      // The inside is there already: fill before the call that wrote it.
      const fill = this.#calls.splice(early, 1)[0]!
      const writer = this.#calls.findIndex((call) => call.outputs.some((output) => output.block === target.block))
      this.#calls.splice(writer, 0, fill)
    } else this.#copy(node.inputs[0]!, inside)
  }

  #part(source: Node, target: DraftOperand): void {
    const written = this.#places.get(this.#views.resolve(source).base)
    if (written?.block !== target.block) this.#copy(source, target)
  }

  /** A base that is a constant is written where the result goes, so that nothing is copied. */
  #scatter(node: Node): void {
    const target = this.#written(node)
    const base = this.#views.resolve(node.inputs[0]!)
    const isConstant = base.base.op === 'constant'
    if (isConstant) this.#fill(target, (base.base.attributes as OpAttributes['constant']).value)
    const layouts = this.#layoutsOf(node)
    const first = isConstant ? target : this.#operand(node.inputs[0]!, layouts)
    const rest = node.inputs.slice(1).map((input) => this.#operand(input, layouts))
    this.#calls.push({ op: 'scatter', attributes: node.attributes, inputs: [first, ...rest], outputs: [target] })
  }

  /** Outputs that are leaves, constants, views or given out twice. */
  #copyOutputs(): void {
    this.#graph.outputs.forEach((output, i) => {
      const block = this.#outputs[i]!
      const { base } = this.#views.resolve(output)
      if (sizeOf(output.shape) === 0 || this.#places.get(base)?.block === block) return
      this.#copy(output, { block, dtype: output.dtype, view: rowMajorView(output.shape) })
    })
  }
}

function bytesOf(node: Node): number {
  return sizeOf(node.shape) * formatOf(node.dtype).bytes
}
