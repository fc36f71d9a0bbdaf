import { type DType, formatOf, isFloat } from '../../graph/format.ts'
import { identical, type SuiteContext } from '../context.ts'
import { ProgramBuilder } from '../programs.ts'
import { type Random, randomStorage, toStorage } from '../random.ts'
import type { Comparison } from '../run-program.ts'
import { lengths, specialFloats, specialIntegers } from './operands.ts'

/** Values around the ends of integer formats, halves, and what must saturate. */
const borders = [
  0.5, -0.5, 0.999, -0.999, 1.5, -1.5, 127.5, 128, -128.5, -129, 255.5, 256, 65504, 65520, 70000, 2147483520,
  2147483648, -2147483648, -2147483904, 4294967040, 4294967296, 1e20, -1e20,
]

/** Every cast between two formats of the device, and bitcasts between those of one width. */
export function castSuite(context: SuiteContext): void {
  context.describe('casts', () => {
    for (const from of context.formats) {
      for (const to of context.formats) {
        context.it(`${from} to ${to}`, async (random) => {
          const special = isFloat(from) ? [...specialFloats('cast', context), ...borders] : specialIntegers(from)
          const operands = [toStorage(from, special), ...lengths.map((length) => spread(random, from, length))]
          const builder = new ProgramBuilder()
          for (const { length } of operands) {
            const [input, output] = [builder.input(from, [length]), builder.output(to, [length])]
            builder.map([length], (body) => body.store(output, body.cast(body.load(input), to)))
          }
          await context.check(`cast ${from} to ${to}`, builder, operands, () => castComparison(from, to))
        })
      }
    }
  })

  context.describe('bitcasts', () => {
    for (const from of context.formats) {
      for (const to of context.formats) {
        if (from === to || formatOf(from).bits !== formatOf(to).bits) continue
        context.it(`${from} to ${to}`, async (random) => {
          const builder = new ProgramBuilder()
          const operands = lengths.map((length) => {
            const [input, output] = [builder.input(from, [length]), builder.output(to, [length])]
            builder.map([length], (body) => body.store(output, body.bitcast(body.load(input), to)))
            // Finite float bits only: a NaN may lose its payload on the way.
            return isFloat(from) || isFloat(to)
              ? finiteBits(random, from, isFloat(from) ? from : to, length)
              : randomStorage(random, from, length)
          })
          await context.check(`bitcast ${from} to ${to}`, builder, operands, identical)
        })
      }
    }
  })
}

/** Floats of all sizes an integer may have; integers over their whole range. */
function spread(random: Random, dtype: DType, length: number): ReturnType<typeof toStorage> {
  if (!isFloat(dtype)) return randomStorage(random, dtype, length)
  return toStorage(
    dtype,
    Array.from({ length }, () => random.normal() * 10 ** random.integer(-2, 9)),
  )
}

/** Narrow float formats may be reached through f32, which can round twice. */
function castComparison(from: DType, to: DType): Comparison {
  const narrow = to === 'f16' || to === 'bf16'
  const wide = from === 'f64' || from === 'i32' || from === 'u32'
  if (!narrow || !wide) return identical()
  return { relative: to === 'f16' ? 2 ** -10 : 2 ** -7, absolute: 0 }
}

/** Storage of format `from` whose bits are those of ordinary numbers in the float format `float`. */
function finiteBits(random: Random, from: DType, float: DType, length: number): ReturnType<typeof toStorage> {
  const numbers = toStorage(
    float,
    Array.from({ length }, () => random.normal() * 10 ** random.integer(-4, 4)),
  )
  return new (formatOf(from).array)(numbers.buffer as ArrayBuffer, 0, length)
}
