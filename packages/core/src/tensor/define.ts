import { TesseraError } from '../errors.ts'
import { outputOf } from '../graph/build.ts'
import { createNode, type Node, type TensorSpec } from '../graph/node.ts'
import type { OpAttributes, OpName } from '../graph/operations.ts'
import type { OpDefinition } from '../plugin/contract.ts'
import { Tensor } from './tensor.ts'

/** An op in terms of tensors: what `defineOp` takes. */
export interface TensorOpDefinition<Op extends OpName> {
  readonly op: Op
  /** Shapes and formats of the outputs; by default those that `lower` gives. */
  shape?(inputs: readonly TensorSpec[], attributes: OpAttributes[Op]): readonly TensorSpec[]
  /** The result in other ops: one tensor for each output. */
  lower(inputs: readonly Tensor[], attributes: OpAttributes[Op]): readonly Tensor[]
  /** Gradient of each input, `undefined` where none flows; by default derived from `lower`. */
  vjp?(context: {
    readonly inputs: readonly Tensor[]
    readonly outputs: readonly Tensor[]
    /** Gradient of each output; `undefined` where none flows. */
    readonly gradients: readonly (Tensor | undefined)[]
    readonly attributes: OpAttributes[Op]
  }): readonly (Tensor | undefined)[]
}

/**
 * Defines an op of your own: its meaning in other ops, and, if you like, its gradient. Kernels can then be registered for it.
 * Apply it with `applyOp`.
 *
 * @example
 * ```ts
 * import { applyOp, defineOp, tensor } from '@tessera/core'
 * declare module '@tessera/core' {
 *   interface OpAttributes { clippedSquare: { readonly limit: number } }
 * }
 * const clippedSquare = defineOp({
 *   op: 'clippedSquare',
 *   lower: ([x], { limit }) => [x!.square().minimum(limit)],
 *   // A straight-through gradient, as if nothing had been clipped.
 *   vjp: ({ inputs: [x], gradients: [gradient] }) => [gradient!.multiply(x!).multiply(2)],
 * })
 * const [y] = applyOp(clippedSquare, [tensor([1, 2, 3])], { limit: 4 })
 * console.log(await y!.data()) // 1, 4, 4
 * ```
 */
export function defineOp<Op extends OpName>(definition: TensorOpDefinition<Op>): OpDefinition<Op> {
  const tensors = (nodes: readonly Node[]) => nodes.map((node) => new Tensor(node))
  const lower = (inputs: readonly Node[], attributes: OpAttributes[Op]): readonly Node[] =>
    definition.lower(tensors(inputs), attributes).map((output) => output.node)
  return {
    op: definition.op,
    lower,
    shape: (inputs, attributes) => {
      if (definition.shape) return definition.shape(inputs, attributes)
      // Nodes are specs as well, so the definition itself tells the shapes.
      return lower(inputs as readonly Node[], attributes).map(({ shape, dtype }) => ({ shape, dtype }))
    },
    ...(definition.vjp && {
      vjp: ({ inputs, outputs, cotangents, attributes }) => {
        const gradients = cotangents.map((gradient) => gradient && new Tensor(gradient))
        const result = definition.vjp!({ inputs: tensors(inputs), outputs: tensors(outputs), gradients, attributes })
        if (result.length > inputs.length) {
          throw new TesseraError(
            'OP_DEFINITION',
            `${definition.op}: vjp gave ${result.length} gradients for ${inputs.length} inputs. Give one for each input.`,
          )
        }
        return result.map((gradient) => gradient?.node)
      },
    }),
  }
}

/** Applies an op to tensors; gives one tensor for each of its outputs. */
export function applyOp<Op extends OpName>(
  definition: OpDefinition<Op>,
  inputs: readonly Tensor[],
  attributes: OpAttributes[Op],
): Tensor[] {
  const node = createNode(
    definition,
    inputs.map((input) => input.node),
    attributes,
  )
  return node.outputs.map((_, i) => new Tensor(outputOf(node, i)))
}
