import type { BenchmarkCase, CaseFamily } from './case.ts'
import { conv2dFamily } from './conv2d.ts'
import { gptDecodeFamily } from './gpt-decode.ts'
import { gptStepFamily } from './gpt-step.ts'
import { limitFamily } from './limits.ts'
import { matmulFamily } from './matmul.ts'
import { opFamily } from './op.ts'
import { vggFamily } from './vgg.ts'

type Families = { readonly [Kind in BenchmarkCase['kind']]: CaseFamily<Extract<BenchmarkCase, { kind: Kind }>> }

const families: Families = {
  matmul: matmulFamily,
  conv2d: conv2dFamily,
  op: opFamily,
  vgg: vggFamily,
  'gpt-step': gptStepFamily,
  'gpt-decode': gptDecodeFamily,
  limit: limitFamily,
}

/** The family that a case belongs to. */
export function familyOf<Case extends BenchmarkCase>(benchmarkCase: Case): CaseFamily<Case> {
  return families[benchmarkCase.kind] as unknown as CaseFamily<Case>
}

/** Every case that `npm run bench` can time, in the order of its table. */
export const benchmarkCases: readonly BenchmarkCase[] = [
  ...matmulFamily.cases,
  ...conv2dFamily.cases,
  ...vggFamily.cases,
  ...opFamily.cases,
  ...gptStepFamily.cases,
  ...gptDecodeFamily.cases,
]
