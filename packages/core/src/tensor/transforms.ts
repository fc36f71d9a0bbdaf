import { gradients } from '../autodiff/gradient.ts'
import { ShapeError } from '../errors.ts'
import { onesLike, zerosLike } from '../graph/build.ts'
import { isFloat } from '../graph/format.ts'
import { formatSpec } from '../graph/node.ts'
import { Tensor } from './tensor.ts'
import { type Path, visitTree } from './tree.ts'

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
  const found = gradients([loss.node], [onesLike(loss.node)], nodes)
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
  const result = body(parameters)
  const value = requireScalar('valueAndGrad', result.loss)
  return { value, gradients: gradientTree(value, parameters), result }
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
  const value = body(...inputs)
  return {
    value,
    pullback: (gradient) => {
      const found = gradients(
        [value.node],
        [gradient.node],
        inputs.map((input) => input.node),
      )
      return found.map((node, i) => new Tensor(node ?? zerosLike(inputs[i]!.node)))
    },
  }
}
