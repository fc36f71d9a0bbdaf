import { createRandom, type Random, seedFor } from '../random.ts'
import { type Choices, randomChoices, repeatChoices, shrink } from './choices.ts'
import type { OpTest } from './op-test.ts'
import { anyLayout, rowMajor } from './operand.ts'
import type { Trial } from './values.ts'

/** A case of random shapes and layouts, with the choices that it was drawn from. */
interface DrawnTrial extends Trial {
  readonly choices: readonly number[]
}

function trialFrom(property: NonNullable<OpTest['property']>, choices: Choices, distinct: boolean): Trial {
  const test = property(choices)
  const layouts = test.operands.map(({ shape, values }) =>
    values ? rowMajor(shape) : anyLayout(choices, shape, distinct),
  )
  const names = layouts.flatMap(({ name }, k) => (name === '' ? [] : [`operand ${k} ${name}`]))
  return { test: { ...test, name: [test.name, ...names].join(', ') }, layouts }
}

/** What a property is checked by: the same random numbers for the same choices, so that a failure can be made simpler. */
export interface Property {
  readonly op: OpTest
  /** Which trials are of use, for instance those that the format makes sense for. */
  readonly suits: (trial: Trial) => boolean
  /** Layouts give each element a place of its own. */
  readonly distinct: boolean
  readonly check: (trials: readonly Trial[], random: Random) => Promise<void>
}

/** Draws cases until `count` are of use; gives fewer where most are not. */
function drawTrials({ op, suits, distinct }: Omit<Property, 'check'>, count: number, random: Random): DrawnTrial[] {
  const trials: DrawnTrial[] = []
  if (!op.property) return trials
  for (let attempts = 4 * count; attempts > 0 && trials.length < count; attempts--) {
    const choices = randomChoices(random)
    const trial = trialFrom(op.property, choices, distinct)
    if (suits(trial)) trials.push({ ...trial, choices: choices.taken })
  }
  return trials
}

/** Checks drawn cases together, in one program. When that fails, looks for the simplest single case that fails. */
export async function checkProperty(property: Property, count: number, random: Random): Promise<number> {
  const trials = drawTrials(property, count, random)
  if (trials.length === 0) return 0
  try {
    await property.check(trials, createRandom(random.seed))
  } catch (error) {
    throw (await simplestFailure(property, trials, random)) ?? error
  }
  return trials.length
}

async function simplestFailure(
  { op, suits, distinct, check }: Property,
  trials: readonly DrawnTrial[],
  random: Random,
): Promise<Error | undefined> {
  const failureOf = async (choices: readonly number[]): Promise<Error | undefined> => {
    const trial = trialFrom(op.property!, repeatChoices(choices), distinct)
    if (!suits(trial)) return undefined
    try {
      await check([trial], createRandom(seedFor(choices.join(), random.seed)))
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error))
    }
    return undefined
  }
  for (const { choices } of trials) {
    if (!(await failureOf(choices))) continue
    const simplest = await shrink(choices, async (list) => (await failureOf(list)) !== undefined)
    return failureOf(simplest)
  }
  return undefined
}
