import type { CaseFamily } from './case.ts'
import { tokenInput } from './inputs.ts'
import { adamwDefinition } from './ops/adamw.ts'
import { attentionDefinition } from './ops/attention.ts'
import { crossEntropyDefinition } from './ops/cross-entropy.ts'
import type { OpDefinition, OpInput, OpName, OpSizes } from './ops/definition.ts'
import { layerNormDefinition } from './ops/layer-norm.ts'
import { mlpDefinition } from './ops/mlp.ts'
import { softmaxDefinition } from './ops/softmax.ts'

/** One op, or one piece of a training step, with fixed operands. */
export type OpCase = {
  readonly [Op in OpName]: { readonly kind: 'op'; readonly name: string; readonly op: Op; readonly sizes: OpSizes[Op] }
}[OpName]

const definitions: { readonly [Op in OpName]: OpDefinition<Op> } = {
  softmax: softmaxDefinition,
  'layer-norm': layerNormDefinition,
  'cross-entropy': crossEntropyDefinition,
  attention: attentionDefinition,
  adamw: adamwDefinition,
  mlp: mlpDefinition,
}

function definitionOf({ op }: OpCase): OpDefinition<OpName> {
  return definitions[op] as unknown as OpDefinition<OpName>
}

/** The operands of a case, the same for every implementation. */
export function opInputs(benchmarkCase: OpCase): readonly OpInput[] {
  return definitionOf(benchmarkCase).inputs(benchmarkCase.sizes as never)
}

function opCase<Op extends OpName>(op: Op, label: string, sizes: OpSizes[Op]): OpCase {
  return { kind: 'op', name: `${op}/${label}`, op, sizes } as unknown as OpCase
}

/** Up to this many results are all compared; above it, a spread of positions is. */
const fullyCheckedSize = 20_000
const sampledPositions = 4096

/** Right results by case: every implementation is compared with the same. */
const known = new Map<string, Float64Array>()
function allExpected(benchmarkCase: OpCase): Float64Array {
  const expected =
    known.get(benchmarkCase.name) ??
    definitionOf(benchmarkCase).expected(benchmarkCase.sizes as never, opInputs(benchmarkCase))
  known.set(benchmarkCase.name, expected)
  return expected
}

export const opFamily: CaseFamily<OpCase> = {
  kind: 'op',
  cases: [
    opCase('softmax', '4096x1024', { rows: 4096, columns: 1024 }),
    opCase('layer-norm', '4096x768/forward', { rows: 4096, columns: 768, gradient: false }),
    opCase('layer-norm', '4096x768/backward', { rows: 4096, columns: 768, gradient: true }),
    opCase('cross-entropy', '512x50257/gradient', { rows: 512, classes: 50257 }),
    opCase('attention', '8x1024x64/forward', { heads: 8, length: 1024, depth: 64, gradient: false }),
    opCase('attention', '8x1024x64/backward', { heads: 8, length: 1024, depth: 64, gradient: true }),
    opCase('adamw', '4M', { parameters: 4 * 2 ** 20 }),
    opCase('mlp', '784-512-512-10/n64', { batch: 64, widths: [784, 512, 512, 10] }),
  ],
  checks: [
    opCase('softmax', 'check', { rows: 13, columns: 37 }),
    opCase('layer-norm', 'check/forward', { rows: 13, columns: 37, gradient: false }),
    opCase('layer-norm', 'check/backward', { rows: 13, columns: 37, gradient: true }),
    opCase('cross-entropy', 'check', { rows: 7, classes: 131 }),
    opCase('attention', 'check/forward', { heads: 2, length: 37, depth: 8, gradient: false }),
    opCase('attention', 'check/backward', { heads: 2, length: 37, depth: 8, gradient: true }),
    opCase('adamw', 'check', { parameters: 1003 }),
    opCase('mlp', 'check', { batch: 5, widths: [11, 13, 3] }),
  ],
  // An implementation may have an op but not its gradient.
  group: ({ op, sizes }) => ('gradient' in sizes && sizes.gradient ? `${op}/gradient` : op),
  tolerance: 1e-5,
  work: (benchmarkCase) => definitionOf(benchmarkCase).work(benchmarkCase.sizes as never),
  checkedIndices(benchmarkCase) {
    const { length } = allExpected(benchmarkCase)
    return length <= fullyCheckedSize ? undefined : [...tokenInput(sampledPositions, 5, length)]
  },
  expected(benchmarkCase) {
    const all = allExpected(benchmarkCase)
    const indices = opFamily.checkedIndices(benchmarkCase)
    return indices ? Float64Array.from(indices, (index) => all[index]!) : all
  },
}
