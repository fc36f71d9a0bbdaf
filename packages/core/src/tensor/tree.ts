import { Tensor } from './tensor.ts'

/**
 * Trees are what functions take and return: a tensor, or arrays and objects (modules, optimizers, plain records) that hold
 * trees. Own enumerable properties count, in their order; everything that is neither is a static value.
 */
export type Path = readonly (string | number)[]

export type Branch = Record<string | number, unknown>

export function isBranch(value: unknown): value is Branch {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false
  return !(
    value instanceof Promise ||
    value instanceof Map ||
    value instanceof Set ||
    value instanceof Date ||
    value instanceof Error
  )
}

/** Visits every leaf of a tree with its path; each object once, so cycles and shared parts are fine. */
export function visitTree(tree: unknown, visit: (value: unknown, path: Path, owner: Branch | undefined) => void): void {
  const seen = new Set<object>()
  const walk = (value: unknown, path: Path, owner: Branch | undefined): void => {
    if (value instanceof Tensor || !isBranch(value)) {
      visit(value, path, owner)
      return
    }
    if (seen.has(value)) return
    seen.add(value)
    for (const key of Object.keys(value)) walk(value[key], [...path, key], value)
  }
  walk(tree, [], undefined)
}

/** The tensors of a tree, each once. */
export function tensorsIn(tree: unknown): Tensor[] {
  const found = new Set<Tensor>()
  visitTree(tree, (value) => {
    if (value instanceof Tensor) found.add(value)
  })
  return [...found]
}

/** The tensors of a tree by dotted path, for example `blocks.0.attention.weight`. A tensor at two paths stands under both. */
export function namedTensors(tree: unknown): Map<string, Tensor> {
  const found = new Map<string, Tensor>()
  visitTree(tree, (value, path) => {
    if (value instanceof Tensor) found.set(path.join('.'), value)
  })
  return found
}

/**
 * A tree with the properties of its records in the order of another's, as far as the two have the same ones: `{ b, a }` beside `{ a, b }` counts as the
 * same form, and lists of their tensors must agree.
 */
export function inOrderOf<Tree>(template: unknown, tree: Tree): Tree {
  if (tree instanceof Tensor || template instanceof Tensor || !isBranch(tree) || !isBranch(template)) return tree
  if (Array.isArray(tree)) {
    return Array.isArray(template) ? (tree.map((item, i) => inOrderOf(template[i], item)) as Tree) : tree
  }
  if (![Object.prototype, null].includes(Object.getPrototypeOf(tree))) return tree
  const keys = [...Object.keys(template).filter((key) => Object.hasOwn(tree, key)), ...Object.keys(tree)]
  return Object.fromEntries([...new Set(keys)].map((key) => [key, inOrderOf(template[key], tree[key])])) as Tree
}

/** The tensors of a type, replaced: arrays and plain objects are rebuilt, everything else stays. */
export function mapTensors<Tree>(tree: Tree, replace: (tensor: Tensor, path: Path) => unknown): Tree {
  const walk = (value: unknown, path: Path): unknown => {
    if (value instanceof Tensor) return replace(value, path)
    if (Array.isArray(value)) return value.map((item, i) => walk(item, [...path, i]))
    const plain = isBranch(value) && [Object.prototype, null].includes(Object.getPrototypeOf(value))
    if (!plain) return value
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, walk(item, [...path, key])]))
  }
  return walk(tree, []) as Tree
}

/** The tensors that `mapTensors` would replace, in its order; one that stands twice comes twice. */
export function tensorList(tree: unknown): Tensor[] {
  const found: Tensor[] = []
  mapTensors(tree, (tensor) => {
    found.push(tensor)
    return tensor
  })
  return found
}
