import { type Path, Tensor, visitTree } from '@tessera/core'

type Owner = Record<string | number, unknown>

/** A tensor of a tree with every place where it stands: more than one when it is tied. */
export interface PlacedTensor {
  /** Dotted path of the first place. */
  readonly name: string
  readonly tensor: Tensor
  readonly places: readonly { readonly owner: Owner; readonly key: string | number }[]
}

/** The tensors of a tree that a test lets through, each once, in the order of the tree. */
export function placedTensors(tree: object, accepts: (tensor: Tensor, path: Path) => boolean): PlacedTensor[] {
  const found = new Map<Tensor, { name: string; tensor: Tensor; places: { owner: Owner; key: string | number }[] }>()
  visitTree(tree, (value, path, owner) => {
    if (!(value instanceof Tensor) || !owner || !accepts(value, path)) return
    const place = { owner, key: path.at(-1)! }
    const known = found.get(value)
    if (known) known.places.push(place)
    else found.set(value, { name: path.join('.'), tensor: value, places: [place] })
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
