import { type Node, type Path, Tensor, visitTree } from '@tessera/core'

/** Where a tensor stands in a tree. */
export interface Place {
  /** Dotted path. */
  readonly name: string
  readonly owner: Record<string | number, unknown>
  readonly key: string | number
}

/** A tensor of a tree with every place where it stands: more than one when it is tied. */
export interface PlacedTensor {
  /** Name of the first place. */
  readonly name: string
  readonly tensor: Tensor
  readonly places: readonly Place[]
}

/** The tensors of a tree that a test lets through, each once, in the order of the tree. Handles on one value are tied. */
export function placedTensors(tree: object, accepts: (tensor: Tensor, path: Path) => boolean): PlacedTensor[] {
  const found = new Map<Node, { name: string; tensor: Tensor; places: Place[] }>()
  visitTree(tree, (value, path, owner) => {
    if (!(value instanceof Tensor) || !owner || !accepts(value, path)) return
    const name = path.join('.')
    const place = { name, owner, key: path.at(-1)! }
    const known = found.get(value.node)
    if (known) known.places.push(place)
    else found.set(value.node, { name, tensor: value, places: [place] })
  })
  return [...found.values()]
}

/** Every tensor of a tree: parameters, buffers, random keys and optimizer state. */
export function stateOf(tree: object): PlacedTensor[] {
  return placedTensors(tree, () => true)
}

/** Puts a tensor at every place of another, so that what was tied stays tied. */
export function replaceTensor({ places }: PlacedTensor, tensor: Tensor): void {
  for (const { owner, key } of places) owner[key] = tensor
}
