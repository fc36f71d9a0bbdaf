import { isGradient, isGradientResult, markLike, startsBackward } from '../autodiff/backward.ts'
import { TesseraError } from '../errors.ts'
import { broadcastTo, cast } from '../graph/build.ts'
import { isFloat } from '../graph/format.ts'
import { createNode, type Node, topologicalOrder } from '../graph/node.ts'
import { full, tensor } from './create.ts'
import { where } from './indexing.ts'
import { keepWideLike } from './keep-wide.ts'
import { stack } from './movement.ts'
import type { PolicyState, ProgramPolicy } from './policy.ts'
import { standIn } from './record.ts'
import { Tensor } from './tensor.ts'

export interface LossScalePolicyOptions {
  /** A power of two; 2^16 by default. */
  readonly initial?: number
  /** Finite updates in a row after which the scale doubles; 2000 by default. */
  readonly growthInterval?: number
}

export interface LossScalePolicy extends ProgramPolicy {
  readonly hasState: true
  state(): Record<string, Tensor>
  restore(state: Readonly<Record<string, Tensor>>): void
  /** f32 `[scale, finite updates in a row, updates left out]` of the last call. */
  readonly scale: Tensor
}

/**
 * Loss scaling by powers of two for any training step, as a policy (Micikevicius et al. 2018, section 3.2): backward passes start with a
 * scale in the place of 1, what they give is divided by it, and a call whose gradients are not finite leaves the arguments as they are and halves
 * the scale. Around a policy of a narrow format it keeps small gradients from becoming zero; neither model nor optimizer know of it.
 *
 * @param inner what rewrites the scaled function, for example a format's policy
 *
 * @example
 * ```ts
 * import { jit, lossScalePolicy, tensor, type Tensor, valueAndGrad } from '@tessera/core'
 * const policy = lossScalePolicy(undefined, { initial: 1024 })
 * const model = { weight: tensor([3]) }
 * const step = jit((m: typeof model) => {
 *   const { gradients } = valueAndGrad(m, ({ weight }) => weight.square().sum())
 *   m.weight = m.weight.subtract(gradients.weight.multiply(0.25))
 * }, { policy })
 * step(model)
 * console.log(await model.weight.data(), await policy.scale.data()) // [1.5], [1024, 1, 0]
 * ```
 */
export function lossScalePolicy(inner?: ProgramPolicy, options: LossScalePolicyOptions = {}): LossScalePolicy {
  const { initial = 2 ** 16, growthInterval = 2000 } = options
  if (
    !(initial > 0 && Number.isInteger(Math.log2(initial))) ||
    !Number.isSafeInteger(growthInterval) ||
    growthInterval < 1
  )
    throw new TesseraError(
      'LOSS_SCALE_OPTIONS',
      `lossScalePolicy: initial must be a power of two and growthInterval a whole number from 1 up, got ${initial} and ${growthInterval}.`,
    )
  const holder = { value: tensor([initial, 0, 0]) }
  return {
    name: inner ? `${inner.name} with loss scaling` : 'loss scaling',
    hasState: true,
    get scale() {
      return holder.value
    },
    state: () => ({ lossScale: holder.value, ...inner?.state?.() }),
    restore: ({ lossScale, ...rest }) => {
      if (!lossScale)
        throw new TesseraError(
          'FORMAT_STATE',
          'lossScalePolicy: the saved state has no lossScale. Start without state.',
        )
      holder.value = lossScale
      inner?.restore?.(rest)
    },
    rewrite: (outputs, replaces, paths) => {
      const parameter = standIn({ shape: [3], dtype: 'f32' }, 0)
      const scaled = scaleGradients(outputs, replaces, new Tensor(parameter))
      // Whether all gradients are finite is asked after the inner policy has rounded them.
      const all = [...scaled.outputs, scaled.finite.node]
      const rewritten = inner?.rewrite(all, [...replaces, undefined], paths) ?? {
        outputs: all,
        state: [],
        isCurrent: () => true,
      }
      const next = nextScale(new Tensor(parameter), new Tensor(rewritten.outputs.at(-1)!), growthInterval)
      const own: PolicyState = { parameter, next: next.node, holder }
      return { ...rewritten, outputs: rewritten.outputs.slice(0, -1), state: [...rewritten.state, own] }
    },
  }
}

function nextScale(state: Tensor, finite: Tensor, growthInterval: number): Tensor {
  const [scale, good, left] = [0, 1, 2].map((i) => state.select(0, i)) as [Tensor, Tensor, Tensor]
  const inARow = where(finite, good.add(1), 0)
  const grows = inARow.greaterEqual(growthInterval)
  const moved = where(finite, where(grows, scale.multiply(2), scale), scale.multiply(0.5))
  const limited = moved.maximum(2 ** -24).minimum(2 ** 100)
  return stack([limited, where(grows, 0, inARow), left.add(where(finite, 0, 1))])
}

function scaleGradients(
  outputs: readonly Node[],
  replaces: readonly (Node | undefined)[],
  state: Tensor,
): { outputs: Node[]; finite: Tensor } {
  const scale = state.select(0, 0)
  const factor = scale.reciprocal()
  const replaced = new Map<Node, Node>()
  const unscaled = new Map<Node, Node>()
  let finite = full([], 1, 'bool')
  const times = (node: Node, by: Tensor): Node => {
    const product = new Tensor(node).cast('f32').multiply(by)
    return cast(product.node, node.dtype)
  }
  /** What a gradient's asker reads: in f32 the division loses nothing; narrow formats would flush again. */
  const read = (input: Node, reader: Node | undefined): Node =>
    reader && isGradient(reader) ? replaced.get(input)! : (unscaled.get(input) ?? replaced.get(input)!)
  for (const node of topologicalOrder(outputs)) {
    const inputs = node.inputs.map((input) => read(input, node))
    const same = inputs.every((input, i) => input === node.inputs[i])
    let rebuilt = same ? node : createNode(node.definition, inputs, node.attributes)
    if (startsBackward(node) && isFloat(node.dtype))
      rebuilt = times(rebuilt, new Tensor(broadcastTo(scale.node, node.shape)))
    markLike(rebuilt, node)
    replaced.set(node, rebuilt)
    if (!isGradientResult(node) || !isFloat(node.dtype)) continue
    const x = new Tensor(rebuilt).cast('f32')
    // x − x is 0 for finite numbers and NaN for others.
    finite = finite.and(x.subtract(x).equal(0).cast('f32').min().greater(0))
    unscaled.set(node, times(rebuilt, new Tensor(broadcastTo(factor.node, node.shape))))
  }
  const results = outputs.map((output, i) => {
    const value = read(output, undefined)
    const before = replaces[i]
    const kept = before ? where(finite, new Tensor(value), new Tensor(before)).node : value
    keepWideLike(kept, output)
    return kept
  })
  return { outputs: results, finite }
}
