import { isElementwise, isReduction } from '../graph/kinds.ts'
import type { Node } from '../graph/node.ts'
import { type Shape, sizeOf } from '../graph/shape.ts'
import { isRowMajor, type View } from '../graph/view.ts'
import type { Resolved, ViewResolver } from './resolve.ts'

/**
 * Ops that run in one loop nest. `size` points; in a `row` group `rowLength` of them, the fastest ones, form a row. Nodes
 * of a row group have `size` elements or one for each row. In a `column` group `rowLength` is the reduced extent of
 * `[outer, rowLength, inner]`.
 */
export interface Group {
  /** `call`: an op with a kernel of its own, never merged. */
  kind: 'map' | 'row' | 'column' | 'call'
  size: number
  rowLength: number
  inner: number
  readonly nodes: Set<Node>
  /** Products of trailing extents at which some node of the group has an axis boundary; each divides the next. */
  boundaries: number[]
  /** At least as many as the distinct values that the group reads and writes. */
  operandBound: number
  /** Place in an order in which every group comes after those that it reads. */
  position: number
  /** Changes with every merge, so that a refusal is not worked out twice. */
  version: number
}

/** The reduced axis of a normalised reduction as `[outer, reduced, inner]`. */
function reductionExtents(node: Node): { reduced: number; inner: number } {
  const input = node.inputs[0]!.shape
  const axis = input.findIndex((extent, i) => extent !== node.shape[i])
  return { reduced: input[axis]!, inner: sizeOf(input.slice(axis + 1)) }
}

/** Products of trailing extents of a shape, without 1. */
export function trailingProducts(shape: Shape): number[] {
  const products: number[] = []
  let product = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    product *= shape[axis]!
    if (shape[axis] !== 1) products.push(product)
  }
  return products
}

/** The common refinement of two lists of boundaries, or `undefined` where they do not nest. */
export function mergeBoundaries(a: readonly number[], b: readonly number[]): number[] | undefined {
  const merged = [...new Set([...a, ...b])].sort((x, y) => x - y)
  return merged.every((boundary, i) => i === 0 || boundary % merged[i - 1]! === 0) ? merged : undefined
}

function newGroup(node: Node, isCall: boolean, position: number, walk: Shape = node.shape): Group {
  const shared = {
    nodes: new Set([node]),
    position,
    version: 0,
    operandBound: node.inputs.length + node.outputs.length,
  }
  if (!isReduction(node)) {
    const kind = isCall ? 'call' : 'map'
    return { ...shared, kind, size: sizeOf(node.shape), rowLength: 1, inner: 1, boundaries: trailingProducts(walk) }
  }
  const input = node.inputs[0]!.shape
  const { reduced, inner } = reductionExtents(node)
  const kind = inner === 1 ? 'row' : 'column'
  return { ...shared, kind, size: sizeOf(input), rowLength: reduced, inner, boundaries: trailingProducts(input) }
}

/** True where a consumer of this view at index i reads element i. */
export function isIdentity({ base, view }: Resolved): boolean {
  return view.offset === 0 && isRowMajor(view) && sizeOf(view.shape) === sizeOf(base.shape)
}

/** True where a view repeats each element of its base `times` times in a row: a value per row seen by the row's elements. */
export function isRowBroadcast(base: Node, view: View, times: number): boolean {
  const size = sizeOf(base.shape)
  if (view.offset !== 0 || sizeOf(view.shape) !== size * times) return false
  let repeated = 1
  let axis = view.shape.length - 1
  while (axis >= 0 && repeated < times) {
    if (view.shape[axis] !== 1 && view.strides[axis] !== 0) return false
    repeated *= view.shape[axis]!
    axis--
  }
  return (
    repeated === times &&
    isRowMajor({ shape: view.shape.slice(0, axis + 1), strides: view.strides.slice(0, axis + 1), offset: 0 })
  )
}

/** What the calls of a graph are made of: each node that computes something belongs to one group. */
export class Grouping {
  readonly #groupOf = new Map<Node, Group>()
  readonly #refused = new Map<Group, Map<Group, string>>()
  #order: (Group | undefined)[] = []
  readonly #views: ViewResolver
  readonly #users: ReadonlyMap<Node, readonly Node[]>
  readonly #outputs: ReadonlySet<Node>
  readonly #maximumOperands: number

  /**
   * @param computing nodes that need a call, inputs before users
   * @param users the nodes of `computing` that read a node, directly or as a view
   * @param outputs nodes that the program gives out
   */
  constructor(
    computing: readonly Node[],
    views: ViewResolver,
    users: ReadonlyMap<Node, readonly Node[]>,
    outputs: ReadonlySet<Node>,
    options: { readonly fuse: boolean; readonly maximumOperands: number },
  ) {
    this.#views = views
    this.#users = users
    this.#outputs = outputs
    this.#maximumOperands = options.maximumOperands
    computing.forEach((node, position) => {
      const isCopy = views.isCopy(node)
      const isCall = !isElementwise(node) && !isReduction(node) && !isCopy
      // A copy walks over its source's axes; its own do not matter, since it is written in row-major order.
      const group = newGroup(node, isCall, position, isCopy ? node.inputs[0]!.shape : undefined)
      this.#groupOf.set(node, group)
      this.#order.push(group)
    })
    if (!options.fuse) return
    const loops = (kind: Group['kind']) => kind === 'map' || kind === 'row'
    this.#mergeAll(computing, (producer, consumer) => loops(producer.kind) && loops(consumer.kind))
    // A column reduction takes in what only it needs, when rows have had their pick.
    this.#mergeAll(computing, (producer, consumer) => consumer.kind === 'column' && producer.kind === 'map')
  }

  /** The groups in an order in which they can run. */
  get groups(): readonly Group[] {
    return this.#order.filter((group) => group !== undefined)
  }

  groupOf(node: Node): Group | undefined {
    return this.#groupOf.get(node)
  }

  /** Repeats until nothing changes: a merge may bring two groups together that did not touch before. */
  #mergeAll(computing: readonly Node[], allowed: (producer: Group, consumer: Group) => boolean): void {
    for (let changed = true; changed; ) {
      changed = false
      for (const node of computing) {
        for (const { base } of this.#operands(node)) {
          const producer = this.#groupOf.get(base)
          const consumer = this.#groupOf.get(node)!
          if (producer && producer !== consumer && allowed(producer, consumer) && this.#merge(producer, consumer))
            changed = true
        }
      }
    }
  }

  /** What a node reads, as views of what other nodes compute. */
  #operands(node: Node): Resolved[] {
    return node.inputs.map((input) => this.#views.resolve(input))
  }

  #merge(producer: Group, consumer: Group): boolean {
    const versions = `${producer.version},${consumer.version}`
    if (this.#refused.get(producer)?.get(consumer) === versions) return false
    const merged = this.#fits(producer, consumer)
    const after = merged && this.#between(producer, consumer)
    if (!merged || !after) {
      const refused = this.#refused.get(producer) ?? new Map<Group, string>()
      this.#refused.set(producer, refused.set(consumer, versions))
      return false
    }
    for (const node of consumer.nodes) {
      producer.nodes.add(node)
      this.#groupOf.set(node, producer)
    }
    this.#reorder(producer, consumer, after)
    Object.assign(producer, merged, { version: producer.version + 1 })
    return true
  }

  /** Puts the merged group into the order: what reads the producer comes after it, the rest of the stretch before it. */
  #reorder(producer: Group, consumer: Group, after: ReadonlySet<Group>): void {
    const first = producer.position
    const last = consumer.position
    this.#order[first] = undefined
    if (after.size === 0) {
      this.#order[last] = producer
      producer.position = last
      return
    }
    const stretch = this.#order.slice(first, last).filter((group) => group !== undefined)
    const place = [
      ...stretch.filter((group) => !after.has(group)),
      producer,
      ...stretch.filter((group) => after.has(group)),
    ]
    for (let i = 0; i <= last - first; i++) {
      this.#order[first + i] = place[i]
      if (place[i]) place[i]!.position = first + i
    }
  }

  /** The loops of both groups together, or `undefined` where they do not fit. */
  #fits(producer: Group, consumer: Group): (Loops & Pick<Group, 'boundaries' | 'operandBound'>) | undefined {
    const loops = unifyLoops(producer, consumer)
    if (!loops || loops.size === 0 || producer.nodes.size + consumer.nodes.size > maximumNodes) return undefined
    const { kind, size, rowLength, inner } = loops
    const inDomain = (group: Group) =>
      group.size === size ? group.boundaries : [rowLength, ...group.boundaries.map((boundary) => boundary * rowLength)]
    const together = mergeBoundaries(inDomain(producer), inDomain(consumer))
    const own = kind === 'row' ? [rowLength] : kind === 'column' ? [inner, inner * rowLength] : []
    const boundaries = together && mergeBoundaries(together, own)
    if (!boundaries) return undefined

    const perRow = (node: Node) => kind === 'row' && sizeOf(node.shape) * rowLength === size
    for (const node of consumer.nodes) {
      for (const operand of this.#operands(node)) {
        if (!producer.nodes.has(operand.base)) continue
        const wantsRow = !isReduction(node) && perRow(node)
        const givesRow = perRow(operand.base)
        const repeats = givesRow && !wantsRow && !isReduction(node)
        // One long row would leave all threads but one idle; its reduction alone can be split.
        if (repeats && size === rowLength && size > longestSingleRow) return undefined
        if (
          repeats
            ? !isRowBroadcast(operand.base, operand.view, rowLength)
            : givesRow !== wantsRow || !isIdentity(operand)
        )
          return undefined
      }
    }
    if (kind === 'column' && !this.#onlyUsedBy(producer, consumer)) return undefined
    let operandBound = producer.operandBound + consumer.operandBound
    if (operandBound > this.#maximumOperands) operandBound = this.#operandCount(producer, consumer)
    return operandBound > this.#maximumOperands ? undefined : { ...loops, boundaries, operandBound }
  }

  /** Distinct values that both groups together read and write. */
  #operandCount(producer: Group, consumer: Group): number {
    const inside = (node: Node) => producer.nodes.has(node) || consumer.nodes.has(node)
    const reads = new Set<Node>()
    let writes = 0
    for (const group of [producer, consumer]) {
      for (const node of group.nodes) {
        for (const { base } of this.#operands(node))
          if (!inside(base) && base.op !== 'constant' && base.op !== 'iota') reads.add(base)
        if (this.#outputs.has(node) || !this.#usersOf(node).every(inside)) writes++
      }
    }
    return reads.size + writes
  }

  #usersOf(node: Node): readonly Node[] {
    return this.#users.get(node) ?? []
  }

  #onlyUsedBy(producer: Group, consumer: Group): boolean {
    for (const node of producer.nodes) {
      if (this.#outputs.has(node)) return false
      if (!this.#usersOf(node).every((user) => producer.nodes.has(user) || consumer.nodes.has(user))) return false
    }
    return true
  }

  /**
   * The groups that depend on the producer and stand before the consumer; `undefined` where the consumer depends on one of
   * them: then the two cannot be one step.
   */
  #between(producer: Group, consumer: Group): Set<Group> | undefined {
    const found = new Set<Group>()
    const stack: Group[] = [producer]
    while (stack.length > 0) {
      const group = stack.pop()!
      for (const node of group.nodes) {
        for (const user of this.#usersOf(node)) {
          const next = this.#groupOf.get(user)!
          if (next === consumer && group !== producer) return undefined
          if (next === group || next.position >= consumer.position || found.has(next)) continue
          found.add(next)
          stack.push(next)
        }
      }
    }
    return found
  }
}

/** More ops than this in one loop nest would spill registers for no gain. */
const maximumNodes = 480
const longestSingleRow = 4096

type Loops = Pick<Group, 'kind' | 'size' | 'rowLength' | 'inner'>

function unifyLoops(producer: Group, consumer: Group): Loops | undefined {
  const pick = ({ kind, size, rowLength, inner }: Group) => ({ kind, size, rowLength, inner })
  if (consumer.kind === 'column' || (producer.kind === 'map' && consumer.kind === 'map')) {
    return producer.size === consumer.size ? pick(consumer) : undefined
  }
  const [row, other] = producer.kind === 'row' ? [producer, consumer] : [consumer, producer]
  if (other.kind === 'row') return row.size === other.size && row.rowLength === other.rowLength ? pick(row) : undefined
  return other.size === row.size || other.size * row.rowLength === row.size ? pick(row) : undefined
}
