import { type DType, isFloat } from '../../graph/format.ts'
import { formatShape, sameShape } from '../../graph/shape.ts'
import { jit } from '../../tensor/jit.ts'
import { stack } from '../../tensor/movement.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { vmap } from '../../tensor/vmap.ts'
import { assertClose } from '../assertions.ts'
import { type Random, toStorage } from '../random.ts'
import { spacing } from '../tolerances.ts'
import type { HostTensor } from './host.ts'
import type { OpCase, OpTest } from './op-test.ts'
import { decoded, drawOperand, type Layout, type Operand } from './operand.ts'

/** A case and how its operands lie in memory; row-major without layouts. */
export interface Trial {
  readonly test: OpCase
  readonly layouts?: readonly Layout[]
}

/** The operands that an op is applied to, given what lies in memory. */
export const viewed = (bases: readonly Tensor[], operands: readonly Operand[]): Tensor[] =>
  bases.map((base, k) => operands[k]!.layout.view(base))

export function drawTrial(
  { test, layouts }: Trial,
  dtype: DType,
  random: Random,
  options: { readonly smooth?: boolean; readonly denormals?: boolean } = {},
): Operand[] {
  return test.operands.map((spec, k) =>
    drawOperand(spec, dtype, random, { ...options, ...(layouts && { layout: layouts[k]! }) }),
  )
}

export async function checkValues(
  op: OpTest,
  dtype: DType,
  trials: readonly Trial[],
  random: Random,
  denormals: boolean,
): Promise<void> {
  const drawn = trials.map((trial) => drawTrial(trial, dtype, random, { denormals }))
  // One program for all cases: what is compiled once need not be compiled once for each.
  const traced = jit((bases: readonly (readonly Tensor[])[]) =>
    trials.map(({ test }, i) => test.apply(...viewed(bases[i]!, drawn[i]!))),
  )
  const results = traced(drawn.map((operands) => operands.map(({ base }) => base)))
  const eager = random.integer(0, trials.length - 1)
  for (const [i, { test }] of trials.entries()) {
    const operands = drawn[i]!
    const hosts = operands.map(({ host }) => host)
    await compare(op, test, dtype, results[i]!, hosts, test.name)
    if (i !== eager) continue
    const bases = operands.map(({ base }) => base)
    await compare(op, test, dtype, test.apply(...viewed(bases, operands)), hosts, `${test.name}, not traced`)
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
export async function checkBatches(
  op: OpTest,
  dtype: DType,
  trials: readonly Trial[],
  random: Random,
  denormals: boolean,
): Promise<void> {
  const tests = trials.map(({ test }) => test).filter(({ operands }) => operands.length > 0)
  const drawn = tests.map((test) => [0, 1].map(() => drawTrial({ test }, dtype, random, { denormals })))
  const stacked = drawn.map(([first, second]) => first!.map(({ base }, k) => stack([base, second![k]!.base])))
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
