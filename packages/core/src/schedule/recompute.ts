import { isElementwise } from '../graph/kinds.ts'
import type { Node } from '../graph/node.ts'
import type { ElementwiseName } from '../graph/operations.ts'
import { sizeOf } from '../graph/shape.ts'
import { type Group, type Grouping, isIdentity, mergeBoundaries, trailingProducts } from './groups.ts'
import type { ViewResolver } from './resolve.ts'

/**
 * Computing a value again where it is used costs less than a trip through memory when all that it is made of is in memory
 * anyway: activations between the forward and the backward pass above all (Chen et al. 2016, section 4, for the cheap ops).
 *
 * @returns for each group, the nodes of other groups that it computes for itself
 */
export function chooseRecomputed(
  grouping: Grouping,
  views: ViewResolver,
  users: ReadonlyMap<Node, readonly Node[]>,
  outputs: ReadonlySet<Node>,
): Map<Group, ReadonlySet<Node>> {
  const recomputed = new Map<Group, Set<Node>>()
  for (const group of grouping.groups) {
    if (group.kind === 'call' || group.kind === 'column') continue
    const stored = new Set([...group.nodes].filter((node) => outputs.has(node) || outside(node, group).length > 0))
    for (const node of [...stored].sort((a, b) => b.id - a.id)) {
      const readers = new Set(outside(node, group).map((user) => grouping.groupOf(user)!))
      if (outputs.has(node) || readers.size === 0 || !isElementwise(node) || sizeOf(node.shape) !== group.size) continue
      if (![...readers].every((reader) => takesPointwise(node, reader))) continue
      const recipe = recipeOf(node, group, stored)
      if (!recipe || !isWorthwhile(node, recipe, readers)) continue
      const boundaries = [...readers].map((reader) => boundariesWith(reader, recipe))
      if (boundaries.includes(undefined)) continue
      stored.delete(node)
      for (const source of recipe.fromGroup) stored.add(source)
      ;[...readers].forEach((reader, i) => {
        reader.boundaries = boundaries[i]!
        const mine = recomputed.get(reader) ?? new Set()
        recomputed.set(reader, mine)
        for (const part of recipe.nodes) mine.add(part)
      })
    }
  }
  return recomputed

  function outside(node: Node, group: Group): Node[] {
    return (users.get(node) ?? []).filter((user) => !group.nodes.has(user))
  }

  /** True when a group reads a value only at the point of its loops that the value belongs to. */
  function takesPointwise(node: Node, reader: Group): boolean {
    if (reader.kind === 'call' || reader.size !== sizeOf(node.shape)) return false
    for (const user of reader.nodes) {
      if (!(users.get(node) ?? []).includes(user)) continue
      if (views.isCopy(user)) return false
      if (user.inputs.some((input) => views.resolve(input).base === node && !isIdentity(views.resolve(input))))
        return false
    }
    return true
  }

  /** The ops that make a value from what is in memory; `undefined` when these are too many. */
  function recipeOf(target: Node, group: Group, stored: ReadonlySet<Node>): Recipe | undefined {
    const nodes = new Set<Node>()
    const sources = new Set<Node>()
    const fromGroup = new Set<Node>()
    let work = 0
    const stack = [target]
    while (stack.length > 0) {
      const node = stack.pop()!
      if (nodes.has(node)) continue
      nodes.add(node)
      work += workOf(node)
      if (work > mostWork) return undefined
      for (const input of node.inputs) {
        const { base } = views.resolve(input)
        if (base.op === 'constant' || base.op === 'iota') continue
        if (!group.nodes.has(base)) sources.add(base)
        else if (stored.has(base) || sizeOf(base.shape) < group.size) {
          // Values per row are small: keeping them is cheap.
          sources.add(base)
          fromGroup.add(base)
        } else if (isElementwise(base)) stack.push(base)
        else return undefined
      }
    }
    return { nodes, sources, fromGroup }
  }

  /** Full-size values read and written with the recipe, against those without: one write, and one read by each reader. */
  function isWorthwhile(node: Node, recipe: Recipe, readers: ReadonlySet<Group>): boolean {
    const large = [...recipe.sources].filter((source) => 2 * sizeOf(source.shape) > sizeOf(node.shape))
    let extra = 0
    for (const reader of readers) {
      const reads = new Set<Node>()
      for (const part of [...reader.nodes, ...(recomputed.get(reader) ?? [])])
        for (const input of part.inputs) reads.add(views.resolve(input).base)
      extra += large.filter((source) => !reads.has(source) && !reader.nodes.has(source)).length
    }
    return extra <= readers.size
  }

  function boundariesWith(reader: Group, recipe: Recipe): number[] | undefined {
    let boundaries: number[] | undefined = reader.boundaries
    for (const node of recipe.nodes)
      boundaries = boundaries && mergeBoundaries(boundaries, trailingProducts(node.shape))
    return boundaries
  }
}

interface Recipe {
  readonly nodes: ReadonlySet<Node>
  /** What the recipe reads from memory. */
  readonly sources: ReadonlySet<Node>
  /** Those of the sources that the value's own group computes. */
  readonly fromGroup: ReadonlySet<Node>
}

/** Simple arithmetic counts one; 40 is about what a load and a store that miss the nearest caches take. */
const mostWork = 40
const heavyWork: Partial<Record<ElementwiseName, number>> = {
  divide: 4,
  remainder: 8,
  squareRoot: 4,
  reciprocal: 4,
  exp: 10,
  expm1: 12,
  log: 12,
  log1p: 14,
  sin: 16,
  cos: 16,
  tanh: 14,
  erf: 16,
  power: 30,
}

function workOf(node: Node): number {
  return heavyWork[node.op as ElementwiseName] ?? 1
}
