import { gradients } from '../../autodiff/gradient.ts'
import { type DType, isFloat } from '../../graph/format.ts'
import { formatShape, sameShape } from '../../graph/shape.ts'
import type { Plugin } from '../../plugin/contract.ts'
import { decoderOf, rangeOf } from '../../run/reference/numbers.ts'
import { createRuntime, type Runtime } from '../../run/runtime.ts'
import { tensor, zerosLike } from '../../tensor/create.ts'
import { jit } from '../../tensor/jit.ts'
import { stack } from '../../tensor/movement.ts'
import { Tensor } from '../../tensor/tensor.ts'
import { vmap } from '../../tensor/vmap.ts'
import { assertClose } from '../assertions.ts'
import type { TestRunner } from '../context.ts'
import { createRandom, type Random, seedFor, toStorage } from '../random.ts'
import { spacing } from '../tolerances.ts'
import type { HostTensor } from './host.ts'
import type { OpCase, OperandSpec, OpTest } from './op-test.ts'

export interface OpTestOptions {
  readonly ops: readonly OpTest[]
  /** The plugins of the runtime that is tested; without any, the reference backend. */
  readonly use?: readonly Plugin[]
  readonly run: TestRunner
  /** Formats that the backend computes with; the others are left out. All of core's by default. */
  readonly formats?: readonly DType[]
  /** False tests with one call for each op. */
  readonly fuse?: boolean
  readonly seed?: number
}

/**
 * Declares the tests of ops on one backend: values of every format against the float64 reference, traced and not, one by one and by `vmap`,
 * gradients against central differences of the reference, and, where the backend has f64, second gradients against differences of the first.
 *
 * @example
 * ```ts sketch
 * import { opTests, testOp } from '@tessera/core/testing'
 * import { describe, it } from 'vitest'
 *
 * testOp({ ops: opTests, use: [myBackend()], run: { describe, it }, formats: ['f32', 'i32', 'u32', 'bool'] })
 * ```
 */
export function testOp({ ops, use, run, formats, fuse = true, seed = 1 }: OpTestOptions): void {
  let shared: Promise<Runtime> | undefined
  const open = (): Promise<Runtime> => {
    shared ??= createRuntime({ fuse, ...(use && { use }) })
    return shared
  }
  const has = (dtype: DType) => !formats || formats.includes(dtype)
  for (const op of ops.filter(({ formats }) => formats.some(has))) {
    run.describe(op.op, () => {
      const declare = (name: string, test: (random: Random) => Promise<void>) =>
        run.it(name, async () => {
          const runtime = await open()
          runtime.makeCurrent()
          try {
            await test(createRandom(seedFor(`${op.op} ${name}`, seed)))
          } catch (error) {
            const message = error instanceof Error ? error.message : String(error)
            throw new Error(`${op.op}, ${name}, ${message} (seed ${seed})`, { cause: error })
          }
        })
      for (const dtype of op.formats.filter(has))
        declare(`values of ${dtype}`, (random) => checkValues(op, dtype, random))
      if (fuse && has(op.formats[0]!))
        declare('by vmap as one by one', (random) => checkBatches(op, op.formats[0]!, random))
      if (op.gradient !== true) return
      const dtype = has('f64') ? 'f64' : 'f32'
      declare(`gradient in ${dtype}`, (random) => checkGradients(op, dtype, random))
      if (dtype === 'f64') declare('second gradient', (random) => checkSecondGradients(op, random))
    })
  }
  run.describe('runtime', () => {
    run.it('closes', async () => (await open()).close())
  })
}

/** An operand on both sides: the tensor, and the very numbers that it holds. */
interface Operand {
  readonly tensor: Tensor
  readonly host: HostTensor
  /** Whether a gradient is asked for. */
  readonly isVariable: boolean
}

function draw(spec: OperandSpec, dtype: DType, random: Random): Operand {
  const { shape, range: [low, high] = [-2, 2] } = spec
  const format = spec.dtype ?? dtype
  const size = shape.reduce((product, extent) => product * extent, 1)
  const { lowest, highest } = rangeOf(format)
  const one = isFloat(format)
    ? () => random.uniform(low, high)
    : () =>
        random.integer(Math.max(lowest, Math.ceil(low)), Math.min(highest, Math.max(Math.floor(high), Math.ceil(low))))
  const numbers = Array.from({ length: size }, (_, i) => spec.values?.[i] ?? one())
  const stored = toStorage(format, numbers)
  return {
    tensor: tensor(stored, shape, format),
    host: { shape, data: decoded(stored, format) },
    isVariable: spec.dtype === undefined && isFloat(format),
  }
}

function decoded(stored: ArrayLike<number>, dtype: DType): Float64Array {
  return Float64Array.from(stored, decoderOf(dtype) ?? ((value) => value))
}

async function checkValues(op: OpTest, dtype: DType, random: Random): Promise<void> {
  const tests = op.cases.filter((test) => test.formats?.includes(dtype) ?? true)
  const drawn = tests.map(({ operands }) => operands.map((operand) => draw(operand, dtype, random)))
  // One program for all cases: what is compiled once need not be compiled once for each.
  const traced = jit((inputs: readonly (readonly Tensor[])[]) => tests.map((test, i) => test.apply(...inputs[i]!)))
  const results = traced(drawn.map((operands) => operands.map(({ tensor }) => tensor)))
  const eager = random.integer(0, tests.length - 1)
  for (const [i, test] of tests.entries()) {
    const hosts = drawn[i]!.map(({ host }) => host)
    await compare(op, test, dtype, results[i]!, hosts, test.name)
    if (i !== eager) continue
    const again = test.apply(...drawn[i]!.map(({ tensor }) => tensor))
    await compare(op, test, dtype, again, hosts, `${test.name}, not traced`)
  }
}

async function compare(
  op: OpTest,
  test: OpCase,
  dtype: DType,
  actual: Tensor,
  hosts: readonly HostTensor[],
  label: string,
): Promise<void> {
  const expected = test.expected(...hosts)
  if (!sameShape(actual.shape, expected.shape))
    throw new Error(
      `${label}: the result has shape ${formatShape(actual.shape)} instead of ${formatShape(expected.shape)}.`,
    )
  const rounded = decoded(toStorage(actual.dtype, expected.data), actual.dtype)
  // A float that was computed from a coarser one is as coarse.
  const unit = isFloat(actual.dtype) ? Math.max(spacing(actual.dtype), spacing(dtype)) : 0
  const { relative, absolute } = op.spacings ?? { relative: 4, absolute: 4 }
  const allowed = { relative: relative * unit, absolute: absolute * unit, shape: actual.shape }
  assertClose(decoded(await actual.data(), actual.dtype), rounded, allowed, label)
}

/** Two sets of operands at once through `vmap`: each result as `expected` gives it for its own operands. */
async function checkBatches(op: OpTest, dtype: DType, random: Random): Promise<void> {
  const tests = op.cases.filter(({ formats, operands }) => operands.length > 0 && (formats?.includes(dtype) ?? true))
  const drawn = tests.map(({ operands }) => [0, 1].map(() => operands.map((operand) => draw(operand, dtype, random))))
  const stacked = drawn.map(([first, second]) => first!.map(({ tensor }, k) => stack([tensor, second![k]!.tensor])))
  const traced = jit((inputs: readonly (readonly Tensor[])[]) =>
    tests.map((test, i) => vmap((...given: Tensor[]) => test.apply(...given))(...inputs[i]!)),
  )
  const results = traced(stacked)
  for (const [i, test] of tests.entries()) {
    for (const [k, operands] of drawn[i]!.entries()) {
      const hosts = operands.map(({ host }) => host)
      await compare(op, test, dtype, results[i]!.select(0, k), hosts, `${test.name}, ${k + 1} of a batch of 2`)
    }
  }
}

const step = 1e-5

/** Operands moved by `distance` along their directions. */
function moved(drawn: readonly Operand[], directions: readonly Float64Array[], distance: number): HostTensor[] {
  return drawn.map(({ host, isVariable }, k) =>
    isVariable ? { ...host, data: host.data.map((value, i) => value + distance * directions[k]![i]!) } : host,
  )
}

const inner = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, i) => sum + value * b[i]!, 0)

const normals = (length: number, random: Random): Float64Array => Float64Array.from({ length }, () => random.normal())

function differentiable(op: OpTest): readonly OpCase[] {
  return op.cases.filter((test) => test.differentiable !== false)
}

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

async function checkGradients(op: OpTest, dtype: DType, random: Random): Promise<void> {
  const tests = differentiable(op)
  const drawn = tests.map(({ operands }) => operands.map((operand) => draw(operand, dtype, random)))
  const weights = tests.map((test, i) =>
    normals(test.expected(...drawn[i]!.map(({ host }) => host)).data.length, random),
  )
  const traced = jit((inputs: readonly (readonly Tensor[])[]) =>
    tests.map((test, i) => pullBack(test, drawn[i]!, inputs[i]!, weights[i]!)),
  )
  const results = traced(drawn.map((operands) => operands.map(({ tensor }) => tensor)))
  for (const [i, test] of tests.entries()) {
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
    const numeric = (at(step) - at(-step)) / (2 * step)
    const allowed = (dtype === 'f64' ? 1e-7 : 1e-5 * Math.max(1, (op.spacings?.relative ?? 4) / 16)) * size
    requireClose(`${test.name}: derivative along a random direction`, analytic, numeric, allowed)
  }
}

async function checkSecondGradients(op: OpTest, random: Random): Promise<void> {
  for (const test of differentiable(op)) {
    const drawn = test.operands.map((operand) => draw(operand, 'f64', random))
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
      hosts.map(({ data, shape }, k) => (drawn[k]!.isVariable ? tensor(data, shape) : drawn[k]!.tensor))
    const at = async (distance: number) => both(tensors(moved(drawn, directions, distance))).value.item()
    const numeric = ((await at(step)) - (await at(-step))) / (2 * step)
    const { second } = both(drawn.map(({ tensor }) => tensor))
    let analytic = 0
    let size = 1
    for (const [i, k] of variables.entries()) {
      const gradient = await second[i]!.data()
      analytic += inner(gradient, directions[k]!)
      size += inner(gradient.map(Math.abs), directions[k]!.map(Math.abs))
    }
    requireClose(`${test.name}: second derivative along random directions`, analytic, numeric, 1e-6 * size)
  }
}

function requireClose(label: string, analytic: number, numeric: number, allowed: number): void {
  // Written so that NaN counts as a mismatch.
  if (Math.abs(analytic - numeric) <= allowed) return
  throw new Error(
    `${label} is ${analytic}, central differences give ${numeric} (${allowed.toPrecision(2)} is allowed).`,
  )
}
