import { type DType, formatOf, isFloat } from '../../graph/format.ts'
import type { ElementwiseName } from '../../graph/operations.ts'
import { elementwise, identical, type SuiteContext } from '../context.ts'
import { ProgramBuilder } from '../programs.ts'
import { type Random, randomStorage, toStorage } from '../random.ts'
import {
  booleanBinary,
  comparisons,
  floatBinary,
  floatDomains,
  floatUnary,
  integerBinary,
  integerUnary,
  lengths,
  pairs,
  specialFloats,
  specialIntegers,
  specialPowers,
} from './operands.ts'

type ComputeName = Exclude<ElementwiseName, 'cast' | 'bitcast'>

/** Float ops whose zeros must have the right sign: a reciprocal would show it. */
const signsZero: ReadonlySet<string> = new Set(['negate', 'absolute', 'multiply', 'divide'])

/** One call for each list of operands: `operands[call][argument]` holds numbers. */
function program(
  op: ComputeName,
  formats: readonly DType[],
  result: DType,
  operands: readonly (readonly number[])[][],
) {
  const builder = new ProgramBuilder()
  for (const call of operands) {
    const shape = [call[0]!.length]
    const inputs = formats.map((dtype) => builder.input(dtype, shape))
    const output = builder.output(result, shape)
    builder.map(shape, (body) => body.store(output, body.compute(op, ...inputs.map((input) => body.load(input)))))
  }
  return { builder, inputs: operands.flatMap((call) => call.map((values, i) => toStorage(formats[i]!, values))) }
}

const draws = (random: Random, length: number, draw: (random: Random) => number): number[] =>
  Array.from({ length }, () => draw(random))

/** Every elementwise op on every format that it is defined for: random operands of all lengths, and special ones. */
export function elementwiseSuite(context: SuiteContext): void {
  for (const dtype of context.formats.filter(isFloat)) floatSuite(context, dtype)
  for (const dtype of context.formats.filter((name) => /signed/.test(formatOf(name).kind))) integerSuite(context, dtype)
  if (context.formats.includes('bool')) booleanSuite(context)
  for (const dtype of context.formats) whereSuite(context, dtype)
}

function floatSuite(context: SuiteContext, dtype: DType): void {
  context.describe(`elementwise ops of ${dtype}`, () => {
    for (const op of [...floatUnary, ...floatBinary]) {
      const domains = floatDomains[op]
      const compared = elementwise(context, op, signsZero.has(op))
      const formats = domains.map(() => dtype)

      context.it(`${op} of random operands`, async (random) => {
        const operands = lengths.map((length) => domains.map((draw) => draws(random, length, draw)))
        const { builder, inputs } = program(op, formats, dtype, operands)
        await context.check(op, builder, inputs, compared)
      })
      context.it(`${op} of special operands`, async () => {
        const values = specialFloats(op, context)
        const operands =
          domains.length === 1 ? [values] : op === 'power' ? transpose(specialPowers(context)) : pairs(values)
        const { builder, inputs } = program(op, formats, dtype, [withoutHugeQuotients(op, operands)])
        await context.check(`${op}${describeOperands(operands)}`, builder, inputs, compared)
      })
    }
    for (const op of comparisons) {
      context.it(`${op} of special operands`, async () => {
        const { builder, inputs } = program(op, [dtype, dtype], 'bool', [pairs(specialFloats(op, context))])
        await context.check(op, builder, inputs, identical)
      })
    }
  })
}

const transpose = (list: readonly (readonly [number, number])[]): number[][] => [
  list.map(([a]) => a),
  list.map(([, b]) => b),
]
const describeOperands = (operands: readonly (readonly number[])[]): string =>
  operands.length === 1 ? ` of [${operands[0]!.join(', ')}]` : ''

/** Infinite quotients and divisions by zero are asked for where IEEE 754 holds; on other devices their results differ. */
function withoutHugeQuotients(op: string, operands: number[][]): number[][] {
  if (op !== 'remainder') return operands
  const kept = operands[0]!.map((a, i) => {
    const quotient = Math.abs(a / operands[1]![i]!)
    return !(quotient > 2 ** 20 && quotient < Number.POSITIVE_INFINITY)
  })
  return operands.map((values) => values.filter((_, i) => kept[i]))
}

function integerSuite(context: SuiteContext, dtype: DType): void {
  const wide = (random: Random, length: number): number[] => Array.from(randomStorage(random, dtype, length))
  context.describe(`elementwise ops of ${dtype}`, () => {
    for (const op of [...integerUnary, ...integerBinary, ...comparisons]) {
      const arity = (integerUnary as readonly string[]).includes(op) ? 1 : 2
      const result = (comparisons as readonly string[]).includes(op) ? 'bool' : dtype
      context.it(`${op} of random and special operands`, async (random) => {
        const special = specialIntegers(dtype)
        const operands = [
          ...lengths.map((length) => Array.from({ length: arity }, () => wide(random, length))),
          arity === 1 ? [special] : pairs(special),
        ]
        const { builder, inputs } = program(
          op,
          operands[0]!.map(() => dtype),
          result,
          operands,
        )
        await context.check(op, builder, inputs, identical)
      })
    }
  })
}

function booleanSuite(context: SuiteContext): void {
  context.describe('elementwise ops of bool', () => {
    for (const op of ['not', ...booleanBinary, 'equal', 'notEqual'] as const) {
      context.it(op, async (random) => {
        const arity = op === 'not' ? 1 : 2
        const operands = lengths.map((length) =>
          Array.from({ length: arity }, () => draws(random, length, () => random.integer(0, 1))),
        )
        const { builder, inputs } = program(
          op,
          operands[0]!.map(() => 'bool'),
          'bool',
          operands,
        )
        await context.check(op, builder, inputs, identical)
      })
    }
  })
}

function whereSuite(context: SuiteContext, dtype: DType): void {
  context.describe('where', () => {
    context.it(`chooses between operands of ${dtype}`, async (random) => {
      const builder = new ProgramBuilder()
      const inputs = lengths.flatMap((length) => {
        const shape = [length]
        const condition = builder.input('bool', shape)
        const [yes, no] = [builder.input(dtype, shape), builder.input(dtype, shape)]
        const output = builder.output(dtype, shape)
        builder.map(shape, (body) => {
          body.store(output, body.compute('where', body.load(condition), body.load(yes), body.load(no)))
        })
        return [
          randomStorage(random, 'bool', length),
          randomStorage(random, dtype, length),
          randomStorage(random, dtype, length),
        ]
      })
      await context.check('where', builder, inputs, identical)
    })
    if (!isFloat(dtype) || !context.nonFinite) return
    context.it(`takes nothing from the ${dtype} operand that it leaves out`, async () => {
      const values = specialFloats('where', context)
      const shape = [values.length]
      const builder = new ProgramBuilder()
      const [condition, yes] = [builder.input('bool', shape), builder.input(dtype, shape)]
      const output = builder.output(dtype, shape)
      builder.map(shape, (body) => {
        body.store(output, body.compute('where', body.load(condition), body.load(yes), body.constant(2, dtype)))
      })
      const flags = values.map((_, i) => i % 2)
      await context.check('where', builder, [toStorage('bool', flags), toStorage(dtype, values)], identical)
    })
  })
}
