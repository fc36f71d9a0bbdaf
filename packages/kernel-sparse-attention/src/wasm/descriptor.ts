import { type Expression, type FunctionBuilder, i32, type Local, type ScalarOrExpression } from '@tessera/backend-wasm'
import { frameTemplateWords } from '@tessera/backend-wasm/kernel'
import type { KeyRun, PatternPasses } from '../groups/groups.ts'

/** Operands of the package's ops that have a row for each position. */
export const operandNames = [
  'query',
  'key',
  'value',
  'output',
  'logarithm',
  'projection',
  'gradient',
  'queryGradient',
  'keyGradient',
  'valueGradient',
] as const
export type OperandName = (typeof operandNames)[number]

/** Byte steps of an operand. */
export interface OperandSteps {
  readonly batch: number
  readonly head: number
  readonly row: number
}

const sizeNames = ['batches', 'heads', 'queries', 'length', 'patterns', 'passes', 'ranges', 'rangeKeys'] as const
export type SizeName = (typeof sizeNames)[number]

const stepNames = ['batch', 'head', 'row'] as const
const fixedWords = frameTemplateWords + sizeNames.length + stepNames.length * operandNames.length
/** Of each pattern and pass: where its groups begin, and how many there are. */
const directoryWords = 2

const groupNames = ['start', 'step', 'count', 'runs', 'runCount'] as const
const runNames = ['start', 'step', 'count', 'repeats', 'repeatStep', 'lowest', 'highest'] as const
export const runBytes = 4 * runNames.length
export const groupBytes = 4 * groupNames.length

/** The words of a call: the template of the frame, sizes, steps, and the groups and runs of each pattern. Offsets are in bytes. */
export function encodeDescriptor(
  template: Int32Array,
  sizes: Readonly<Record<Exclude<SizeName, 'patterns' | 'passes'>, number>>,
  operands: { readonly [Name in OperandName]?: OperandSteps },
  patterns: readonly PatternPasses[],
): Int32Array {
  const passes = Math.max(...patterns.map((pattern) => pattern.length))
  const groupCount = patterns.flat(2).length
  const runCount = patterns.flat(2).reduce((sum, { runs }) => sum + runs.length, 0)
  const groupsAt = fixedWords + directoryWords * patterns.length * passes
  const runsAt = groupsAt + groupNames.length * groupCount
  const words = new Int32Array(runsAt + runNames.length * runCount)
  words.set(template)
  const all: Record<SizeName, number> = { ...sizes, patterns: patterns.length, passes }
  words.set(
    sizeNames.map((name) => all[name]),
    frameTemplateWords,
  )
  operandNames.forEach((name, i) => {
    const steps = operands[name]
    if (steps)
      words.set(
        stepNames.map((step) => steps[step]),
        frameTemplateWords + sizeNames.length + stepNames.length * i,
      )
  })
  let [group, run] = [groupsAt, runsAt]
  patterns.forEach((pattern, p) => {
    pattern.forEach((groups, pass) => {
      words.set([4 * group, groups.length], fixedWords + directoryWords * (p * passes + pass))
      for (const { start, step, count, runs } of groups) {
        words.set([start, step, count, 4 * run, runs.length], group)
        group += groupNames.length
        run = writeRuns(words, run, runs)
      }
    })
  })
  return words
}

function writeRuns(words: Int32Array, at: number, runs: readonly KeyRun[]): number {
  runs.forEach((one, i) => {
    words.set(
      runNames.map((name) => one[name]),
      at + runNames.length * i,
    )
  })
  return at + runNames.length * runs.length
}

export function size(descriptor: Local<'i32'>, name: SizeName): Expression<'i32'> {
  return i32.load(descriptor, 4 * (frameTemplateWords + sizeNames.indexOf(name)))
}

export function stepOf(descriptor: Local<'i32'>, name: OperandName, step: keyof OperandSteps): Expression<'i32'> {
  const first = frameTemplateWords + sizeNames.length + stepNames.length * operandNames.indexOf(name)
  return i32.load(descriptor, 4 * (first + stepNames.indexOf(step)))
}

/** A word of a group or run at an address. */
export const groupWord = (group: Local<'i32'>, name: (typeof groupNames)[number]): Expression<'i32'> =>
  i32.load(group, 4 * groupNames.indexOf(name))
export const runWord = (run: Local<'i32'>, name: (typeof runNames)[number]): Expression<'i32'> =>
  i32.load(run, 4 * runNames.indexOf(name))

/** Addresses of the operands' parts of one head, which is `batch · heads + head`. */
export function headAddresses<Name extends OperandName>(
  fn: FunctionBuilder,
  descriptor: Local<'i32'>,
  operands: Readonly<Record<Name, ScalarOrExpression<'i32'>>>,
  unit: Local<'i32'>,
): Record<Name, Local<'i32'>> {
  const heads = fn.local('i32', 'heads', size(descriptor, 'heads'))
  const [batch, head] = [
    fn.local('i32', 'batch', i32.divU(unit, heads)),
    fn.local('i32', 'head', i32.remU(unit, heads)),
  ]
  const at = {} as Record<Name, Local<'i32'>>
  for (const name of Object.keys(operands) as Name[]) {
    at[name] = fn.local('i32', name, operands[name])
    fn.increment(at[name], i32.mul(batch, stepOf(descriptor, name, 'batch')))
    fn.increment(at[name], i32.mul(head, stepOf(descriptor, name, 'head')))
  }
  return at
}

/** The groups of the unit's head in a pass: the address of the first, and how many. */
export function groupsOf(
  fn: FunctionBuilder,
  descriptor: Local<'i32'>,
  unit: Local<'i32'>,
  pass: Local<'i32'>,
): { readonly first: Local<'i32'>; readonly count: Local<'i32'> } {
  // Heads take the patterns in turn, and a batch has whole turns.
  const pattern = i32.remU(unit, size(descriptor, 'patterns'))
  const entry = fn.local(
    'i32',
    'entry',
    i32.add(descriptor, i32.mul(i32.add(i32.mul(pattern, size(descriptor, 'passes')), pass), 4 * directoryWords)),
  )
  return {
    first: fn.local('i32', 'first', i32.add(descriptor, i32.load(entry, 4 * fixedWords))),
    count: fn.local('i32', 'count', i32.load(entry, 4 * fixedWords + 4)),
  }
}

/** Emits `body` for each run of keys of a group, once for each repeat: the position of its first key among them. */
export function forEachRun(
  fn: FunctionBuilder,
  descriptor: Local<'i32'>,
  group: Local<'i32'>,
  body: (run: Local<'i32'>, start: Local<'i32'>) => void,
): void {
  const run = fn.local('i32', 'run', i32.add(descriptor, groupWord(group, 'runs')))
  fn.repeat(groupWord(group, 'runCount'), () => {
    const start = fn.local('i32', 'start', runWord(run, 'start'))
    fn.repeat(runWord(run, 'repeats'), () => {
      body(run, start)
      fn.increment(start, runWord(run, 'repeatStep'))
    })
    fn.increment(run, runBytes)
  })
}
