import { type Batched, batchGraph, repeat } from '../batching/batch.ts'
import { axisFromFront, axisToFront } from '../batching/rules.ts'
import { ShapeError } from '../errors.ts'
import { formatSpec, type Node } from '../graph/node.ts'
import { normalizeAxis } from '../graph/shape.ts'
import { recording, standIn } from './record.ts'
import { Tensor } from './tensor.ts'
import { mapTensors, type Path, tensorList, visitTree } from './tree.ts'

/**
 * Which axis of each tensor runs over the batch; `null` for none: the tensor is the same for all. One number holds for every tensor
 * of a tree; arrays and records say it part by part.
 */
export type BatchAxes = number | null | readonly BatchAxes[] | { readonly [key: string]: BatchAxes }

export interface VmapOptions {
  /** For all arguments, or an array with one entry for each; 0 by default. */
  readonly inAxes?: BatchAxes
  /** Where the batch axis stands in the results; 0 by default. `null` only for what does not depend on the batch. */
  readonly outAxes?: BatchAxes
}

/**
 * A function of one example as a function of a batch: it is recorded once, for one example, and each of its ops is then applied to
 * the whole batch. Nests with itself and with every other transform.
 *
 * @throws ShapeError when the batch axes differ in extent, or nothing is batched
 *
 * @example
 * ```ts
 * import { tensor, type Tensor, vmap } from '@tessera/core'
 * const distance = (a: Tensor, b: Tensor) => a.subtract(b).square().sum().sqrt()
 * const toEach = vmap(distance, { inAxes: [null, 0] })
 * const allPairs = vmap(toEach, { inAxes: [0, null] })
 * const points = tensor([[0, 0], [3, 4], [6, 8]])
 * console.log(await allPairs(points, points).data()) // 0, 5, 10, 5, 0, 5, 10, 5, 0
 * ```
 */
export function vmap<Arguments extends unknown[], Result>(
  body: (...args: Arguments) => Result,
  options: VmapOptions = {},
): (...args: Arguments) => Result {
  const { inAxes = 0, outAxes = 0 } = options
  return (...args) => {
    const batch = new Batch(inAxes)
    const own = mapTensors(args, (tensor, path) => new Tensor(batch.add(tensor, path)))
    // Tensors of modules stay where they are and stand for one example while the function runs.
    const ofModules = new Map<Tensor, Node>()
    visitTree(own, (value, path) => {
      if (value instanceof Tensor && !batch.parameters.includes(value.node) && !ofModules.has(value))
        ofModules.set(value, value.node)
      if (value instanceof Tensor && ofModules.get(value) === value.node) value.replaceNode(batch.add(value, path))
    })
    let result: Result
    try {
      result = recording(() => body(...own))
    } finally {
      for (const [tensor, node] of ofModules) tensor.replaceNode(node)
    }
    const { size } = batch
    const outputs = tensorList(result).map((output) => output.node)
    const values = batchGraph(outputs, batch.parameters, batch.inputs, size)
    let next = 0
    return mapTensors(result, (_, path) => new Tensor(placeAxis(values[next++]!, axisAt(outAxes, path), size)))
  }
}

/** The arguments of a batched call. */
class Batch {
  readonly parameters: Node[] = []
  readonly inputs: Batched[] = []
  readonly #inAxes: BatchAxes
  #first: { readonly size: number; readonly text: string } | undefined

  constructor(inAxes: BatchAxes) {
    this.#inAxes = inAxes
  }

  get size(): number {
    if (!this.#first)
      throw new ShapeError('vmap: no argument is batched. Give inAxes a number for at least one tensor.')
    return this.#first.size
  }

  /** The stand-in for one example of a tensor. */
  add(tensor: Tensor, path: Path): Node {
    const axis = axisAt(this.#inAxes, path)
    const { node } = tensor
    if (axis === null) {
      this.inputs.push({ node, batched: false })
      return this.#standIn(node)
    }
    const at = normalizeAxis(`vmap: argument ${path.join('.')}`, axis, tensor.rank)
    const size = tensor.shape[at]!
    const text = `argument ${path.join('.')} (${formatSpec(tensor)}) has ${size} along axis ${at}`
    this.#first ??= { size, text }
    if (this.#first.size !== size)
      throw new ShapeError(`vmap: ${this.#first.text}, ${text}. Batch axes must agree; set inAxes.`)
    this.inputs.push({ node: axisToFront(node, at), batched: true })
    return this.#standIn({ shape: tensor.shape.filter((_, i) => i !== at), dtype: tensor.dtype })
  }

  #standIn(spec: Pick<Node, 'shape' | 'dtype'>): Node {
    const node = standIn(spec, this.parameters.length)
    this.parameters.push(node)
    return node
  }
}

/** The entry for a place in a tree: that of the nearest part that has one. */
function axisAt(axes: BatchAxes, path: Path): number | null {
  let found: BatchAxes | undefined = axes
  for (const key of path) {
    if (typeof found === 'number' || found === null || found === undefined) break
    found = (found as Record<string | number, BatchAxes>)[key]
  }
  if (found === undefined || (typeof found === 'object' && found !== null)) {
    throw new ShapeError(
      `vmap: the axes say nothing about the tensor at '${path.join('.')}'. Give a number or null there.`,
    )
  }
  return found
}

function placeAxis({ node, batched }: Batched, axis: number | null, size: number): Node {
  if (axis === null) {
    if (batched)
      throw new ShapeError(`vmap: outAxes is null for a result that depends on the batch, ${formatSpec(node)}.`)
    return node
  }
  const together = batched ? node : repeat(node, size)
  return axisFromFront(together, normalizeAxis('vmap: outAxes', axis, together.shape.length))
}
