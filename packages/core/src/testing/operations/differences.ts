import { gradients } from '../../autodiff/gradient.ts'
import type { DType } from '../../graph/format.ts'
import { formatShape, sameShape } from '../../graph/shape.ts'
import { tensor, zerosLike } from '../../tensor/create.ts'
import { jit } from '../../tensor/jit.ts'
import { Tensor } from '../../tensor/tensor.ts'
import { type Random, toStorage } from '../random.ts'
import type { HostTensor } from './host.ts'
import type { OpCase, OpTest } from './op-test.ts'
import type { Operand } from './operand.ts'
import { drawTrial, type Trial, viewed } from './values.ts'

/**
 * Distances of central differences. A quotient of the first may step over a kink or a jump of a function, which those of shorter ones miss: a right
 * derivative agrees with one of them, a wrong one with none.
 */
const steps: readonly number[] = [1e-5, 1e-6, 1e-7]

/** Operands moved by `distance` along their directions. */
function moved(drawn: readonly Operand[], directions: readonly Float64Array[], distance: number): HostTensor[] {
  return drawn.map(({ host, isVariable }, k) =>
    isVariable ? { ...host, data: host.data.map((value, i) => value + distance * directions[k]![i]!) } : host,
  )
}

const inner = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, i) => sum + value * b[i]!, 0)

const normals = (length: number, random: Random): Float64Array => Float64Array.from({ length }, () => random.normal())

/** Gradients of the operands that have one, of `Σ weights · apply(…)`. */
function pullBack(test: OpCase, drawn: readonly Operand[], inputs: readonly Tensor[], weights: Float64Array): Tensor[] {
  const y = test.apply(...inputs)
  const seed = tensor(toStorage(y.dtype, weights), y.shape, y.dtype)
  const variables = inputs.filter((_, k) => drawn[k]!.isVariable)
  const found = gradients(
    [y.node],
    [seed.node],
    variables.map((x) => x.node),
  )
  return found.map((node, k) => (node ? new Tensor(node) : zerosLike(variables[k]!)))
}

/** Gradients against central differences of the reference, along a random direction. */
export async function checkGradients(
  op: OpTest,
  dtype: DType,
  trials: readonly Trial[],
  random: Random,
): Promise<void> {
  const drawn = trials.map((trial) => drawTrial(trial, dtype, random, { smooth: true }))
  const weights = trials.map(({ test }, i) =>
    normals(test.expected(...drawn[i]!.map(({ host }) => host)).data.length, random),
  )
  const traced = jit((bases: readonly (readonly Tensor[])[]) =>
    trials.map(({ test }, i) => pullBack(test, drawn[i]!, viewed(bases[i]!, drawn[i]!), weights[i]!)),
  )
  const results = traced(drawn.map((operands) => operands.map(({ base }) => base)))
  for (const [i, { test }] of trials.entries()) {
    const directions = drawn[i]!.map(({ host }) => normals(host.data.length, random))
    const variables = drawn[i]!.flatMap(({ isVariable }, k) => (isVariable ? [k] : []))
    let analytic = 0
    let size = 1
    for (const [position, k] of variables.entries()) {
      const gradient = await results[i]![position]!.data()
      if (!sameShape(results[i]![position]!.shape, drawn[i]![k]!.host.shape))
        throw new Error(
          `${test.name}: the gradient of operand ${k} has shape ${formatShape(results[i]![position]!.shape)}.`,
        )
      analytic += inner(gradient, directions[k]!)
      size += inner(gradient.map(Math.abs), directions[k]!.map(Math.abs))
    }
    const at = (distance: number) => inner(test.expected(...moved(drawn[i]!, directions, distance)).data, weights[i]!)
    const allowed = (dtype === 'f64' ? 1e-7 : 1e-5 * Math.max(1, (op.spacings?.relative ?? 4) / 16)) * size
    await requireSlope(`${test.name}: derivative along a random direction`, analytic, at, allowed)
  }
}

/** Gradients of gradients against differences of the first ones, in f64. */
export async function checkSecondGradients(trials: readonly Trial[], random: Random): Promise<void> {
  for (const { test } of trials) {
    const drawn = drawTrial({ test }, 'f64', random, { smooth: true })
    const weights = normals(test.expected(...drawn.map(({ host }) => host)).data.length, random)
    const directions = drawn.map(({ host }) => normals(host.data.length, random))
    const axes = drawn.map(({ host }) => normals(host.data.length, random))
    const variables = drawn.flatMap(({ isVariable }, k) => (isVariable ? [k] : []))
    const slope = (inputs: readonly Tensor[]) => {
      const found = pullBack(test, drawn, inputs, weights)
      const parts = variables.map((k, i) => found[i]!.multiply(tensor(axes[k]!, drawn[k]!.host.shape)).sum())
      return parts.reduce((sum, part) => sum.add(part), tensor(new Float64Array([0]), []))
    }
    const both = jit((inputs: readonly Tensor[]) => {
      const value = slope(inputs)
      const nodes = variables.map((k) => inputs[k]!.node)
      const found = gradients([value.node], [tensor(new Float64Array([1]), []).node], nodes)
      return { value, second: found.map((node, i) => (node ? new Tensor(node) : zerosLike(inputs[variables[i]!]!))) }
    })
    const tensors = (hosts: readonly HostTensor[]) =>
      hosts.map(({ data, shape }, k) => (drawn[k]!.isVariable ? tensor(data, shape) : drawn[k]!.base))
    const at = async (distance: number) => both(tensors(moved(drawn, directions, distance))).value.item()
    const { second } = both(drawn.map(({ base }) => base))
    let analytic = 0
    let size = 1
    for (const [i, k] of variables.entries()) {
      const gradient = await second[i]!.data()
      analytic += inner(gradient, directions[k]!)
      size += inner(gradient.map(Math.abs), directions[k]!.map(Math.abs))
    }
    await requireSlope(`${test.name}: second derivative along random directions`, analytic, at, 1e-6 * size)
  }
}

/** Requires that a function of the distance has this derivative at 0. */
async function requireSlope(
  label: string,
  analytic: number,
  at: (distance: number) => number | Promise<number>,
  allowed: number,
): Promise<void> {
  const found: number[] = []
  for (const step of steps) {
    found.push(((await at(step)) - (await at(-step))) / (2 * step))
    // Written so that NaN counts as a mismatch.
    if (Math.abs(analytic - found.at(-1)!) <= allowed) return
  }
  throw new Error(
    `${label} is ${analytic}, central differences give ${found.join(', ')} (${allowed.toPrecision(2)} is allowed).`,
  )
}
