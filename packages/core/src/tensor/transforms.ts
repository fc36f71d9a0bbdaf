import { backward } from '../autodiff/backward.ts'
import { tangents } from '../autodiff/tangent.ts'
import { ShapeError } from '../errors.ts'
import { alias, onesLike, zerosLike } from '../graph/build.ts'
import { isFloat } from '../graph/format.ts'
import { formatSpec } from '../graph/node.ts'
import { sameShape } from '../graph/shape.ts'
import { recording } from './record.ts'
import { Tensor } from './tensor.ts'
import { mapTensors, type Path, tensorList, visitTree } from './tree.ts'

/** The tensors that a tree of parameters is made of, by the same paths: arrays stay arrays, objects and modules become plain objects. */
export type Gradients<Tree> = Tree extends Tensor
  ? Tensor
  : Tree extends readonly (infer Item)[]
    ? Gradients<Item>[]
    : Tree extends object
      ? { [Key in keyof Tree as Tree[Key] extends (...args: never[]) => unknown ? never : Key]: Gradients<Tree[Key]> }
      : undefined

/** Floating-point tensors of a tree, which gradients are taken of, each once, with the paths at which they stand. */
function parametersOf(tree: unknown): { tensor: Tensor; path: Path }[] {
  const found: { tensor: Tensor; path: Path }[] = []
  visitTree(tree, (value, path) => {
    if (value instanceof Tensor && isFloat(value.dtype)) found.push({ tensor: value, path })
  })
  return found
}

/**
 * A single tensor is differentiated where it is the function's argument only, not where the function sees it from outside:
 * `grad((y) => y.multiply(x).sum())(x)` is x.
 */
function ownHandle<Tree>(tree: Tree): Tree {
  return tree instanceof Tensor ? (new Tensor(alias(tree.node)) as Tree) : tree
}

function requireScalar(operation: string, loss: unknown): Tensor {
  if (!(loss instanceof Tensor) || loss.size !== 1 || !isFloat(loss.dtype)) {
    const got = loss instanceof Tensor ? formatSpec(loss) : typeof loss
    throw new ShapeError(
      `${operation}: the function must give one floating-point number, got ${got}. Reduce it, for example with .mean().`,
    )
  }
  return loss
}

function gradientTree<Tree>(loss: Tensor, tree: Tree): Gradients<Tree> {
  const parameters = parametersOf(tree)
  const nodes = [...new Set(parameters.map(({ tensor }) => tensor.node))]
  const found = backward([loss.node], [onesLike(loss.node)], nodes)
  const byNode = new Map(nodes.map((node, i) => [node, found[i] ?? zerosLike(node)]))
  return rebuild(
    tree,
    new Map(parameters.map(({ tensor }) => [tensor, new Tensor(byNode.get(tensor.node)!)])),
  ) as Gradients<Tree>
}

function rebuild(tree: unknown, replacements: ReadonlyMap<Tensor, Tensor>, ancestors: readonly object[] = []): unknown {
  if (tree instanceof Tensor) return replacements.get(tree)
  if (Array.isArray(tree)) return tree.map((item) => rebuild(item, replacements, [...ancestors, tree]))
  if (typeof tree !== 'object' || tree === null || ancestors.includes(tree)) return undefined
  const entries = Object.entries(tree).map(
    ([key, value]) => [key, rebuild(value, replacements, [...ancestors, tree])] as const,
  )
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

/**
 * The value of a function and its gradient by every floating-point tensor of a tree: a tensor, an array, a record or a
 * module. A parameter that does not matter gets zeros; one that stands at two paths gets its whole gradient at both.
 *
 * @example
 * ```ts
 * import { tensor, valueAndGrad } from '@tessera/core'
 * const x = tensor([1, 2, 3])
 * const { value, gradients } = valueAndGrad(x, (x) => x.square().sum())
 * console.log(await value.item(), await gradients.data()) // 14, [2, 4, 6]
 * ```
 */
export function valueAndGrad<Tree>(
  parameters: Tree,
  loss: (parameters: Tree) => Tensor,
): { value: Tensor; gradients: Gradients<Tree> } {
  const { value, gradients } = valueAndGradWith(parameters, (tree) => ({ loss: loss(tree) }))
  return { value, gradients }
}

/** Like `valueAndGrad`, for a function that gives more than its loss. */
export function valueAndGradWith<Tree, Result extends { loss: Tensor }>(
  parameters: Tree,
  body: (parameters: Tree) => Result,
): { value: Tensor; gradients: Gradients<Tree>; result: Result } {
  // A parameter that was itself computed, say inside another gradient, is where this one's walk ends.
  const own = ownHandle(parameters)
  const result = recording(() => body(own))
  const value = requireScalar('valueAndGrad', result.loss)
  return { value, gradients: gradientTree(value, own), result }
}

/**
 * The gradient of a function of one tree as a function. Nests: `grad(grad(f))`.
 *
 * @example
 * ```ts
 * import { grad, tensor, type Tensor } from '@tessera/core'
 * const cube = (x: Tensor) => x.power(3).sum()
 * const second = grad((x: Tensor) => grad(cube)(x).sum())
 * console.log(await second(tensor([1, 2])).data()) // [6, 12]
 * ```
 */
export function grad<Tree>(loss: (parameters: Tree) => Tensor): (parameters: Tree) => Gradients<Tree> {
  return (parameters) => valueAndGrad(parameters, loss).gradients
}

/**
 * Vector–Jacobian product: a function's value at the inputs, and a pull-back that turns a gradient of the value into
 * gradients of the inputs.
 */
export function vjp(
  body: (...inputs: Tensor[]) => Tensor,
  ...inputs: Tensor[]
): { value: Tensor; pullback: (gradient: Tensor) => Tensor[] } {
  const own = inputs.map(ownHandle)
  const value = recording(() => body(...own))
  return {
    value,
    pullback: (gradient) => {
      const found = backward(
        [value.node],
        [gradient.node],
        own.map((input) => input.node),
      )
      return found.map((node, i) => new Tensor(node ?? zerosLike(inputs[i]!.node)))
    },
  }
}

/**
 * Jacobian–vector product, forward mode: a function's value at the inputs, and how it changes when input `i` moves by
 * `directions[i]` (of the same shape and format). Costs about as much as the function itself, whatever the number of inputs.
 *
 * @example
 * ```ts
 * import { jvp, tensor } from '@tessera/core'
 * const { value, tangent } = jvp((x) => x.square(), [tensor([1, 2, 3])], [tensor([1, 0, 1])])
 * console.log(await value.data(), await tangent.data()) // [1, 4, 9], [2, 0, 6]
 * ```
 */
export function jvp<Result>(
  body: (...inputs: Tensor[]) => Result,
  inputs: readonly Tensor[],
  directions: readonly Tensor[],
): { value: Result; tangent: Result } {
  requireDirections('jvp', inputs, directions)
  const own = inputs.map(ownHandle)
  const value = recording(() => body(...own))
  const outputs = tensorList(value)
  const found = tangents(
    outputs.map((output) => output.node),
    own.map((input) => input.node),
    directions.map((direction) => direction.node),
  )
  let next = 0
  const tangent = mapTensors(value, (output) => new Tensor(found[next++] ?? zerosLike(output.node)))
  return { value, tangent }
}

/**
 * Product of the Hessian of a scalar function with a vector, without the Hessian: forward mode over the gradient
 * (Pearlmutter 1994). The vector and the result have the form of the parameters.
 *
 * @example
 * ```ts
 * import { hessianVectorProduct, tensor, type Tensor } from '@tessera/core'
 * const cubes = (x: Tensor) => x.power(3).sum()
 * console.log(await hessianVectorProduct(cubes, tensor([1, 2]), tensor([1, 1])).data()) // [6, 12]
 * ```
 */
export function hessianVectorProduct<Tree>(
  loss: (parameters: Tree) => Tensor,
  parameters: Tree,
  vector: Gradients<Tree>,
): Gradients<Tree> {
  const own = ownHandle(parameters)
  const value = requireScalar(
    'hessianVectorProduct',
    recording(() => loss(own)),
  )
  const places = parametersOf(own)
  const directions = places.map(({ path, tensor }) => {
    const direction = valueAt(vector, path)
    requireDirections('hessianVectorProduct', [tensor], [direction as Tensor])
    return (direction as Tensor).node
  })
  const nodes = places.map(({ tensor }) => tensor.node)
  const found = backward([value.node], [onesLike(value.node)], nodes)
  const moved = tangents(
    found.map((gradient, i) => gradient ?? zerosLike(nodes[i]!)),
    nodes,
    directions,
  )
  return rebuild(
    own,
    new Map(places.map(({ tensor }, i) => [tensor, new Tensor(moved[i] ?? zerosLike(tensor.node))])),
  ) as Gradients<Tree>
}

function valueAt(tree: unknown, path: Path): unknown {
  return path.reduce((value, key) => (value as Record<string | number, unknown> | undefined)?.[key], tree)
}

function requireDirections(operation: string, inputs: readonly Tensor[], directions: readonly Tensor[]): void {
  const fits = (input: Tensor, direction: Tensor | undefined) =>
    direction instanceof Tensor && direction.dtype === input.dtype && sameShape(direction.shape, input.shape)
  const wrong = inputs.findIndex((input, i) => !fits(input, directions[i]))
  if (wrong < 0 && directions.length === inputs.length) return
  const got = directions.map((direction) => (direction instanceof Tensor ? formatSpec(direction) : typeof direction))
  throw new ShapeError(
    `${operation}: directions must have the shapes and formats of the inputs, ${inputs.map(formatSpec).join(', ')}, got ${got.join(', ') || 'none'}.`,
  )
}
