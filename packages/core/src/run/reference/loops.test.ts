import { describe, expect, it } from 'vitest'
import type { ElementwiseName } from '../../graph/operations.ts'
import { binaryNames, unaryNames } from '../../graph/primitives.ts'
import { scalarFunction } from './elementwise.ts'
import { accumulate, accumulateSum, elementwiseLoop } from './loops.ts'

const special = [
  0,
  -0,
  1,
  -1,
  0.5,
  -2.5,
  1e30,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
  5e-324,
  3,
]
const bitwise = new Set<string>(['not', 'and', 'or', 'xor', 'shiftLeft', 'shiftRight'])

describe.each(['f32', 'f64'] as const)('loops of %s compute what the scalar functions do', (dtype) => {
  const names = [...unaryNames, ...binaryNames].filter((op) => !bitwise.has(op)) as ElementwiseName[]
  it.each(names)('%s', (op) => {
    const arity = (unaryNames as readonly string[]).includes(op) ? 1 : 2
    const operands = arity === 1 ? [dtype] : [dtype, dtype]
    const result = ['equal', 'notEqual', 'less', 'lessEqual'].includes(op) ? 'bool' : dtype
    const apply = scalarFunction(op, operands, result)
    const loop = elementwiseLoop(op, operands, result)
    const a = Float64Array.from(special)
    for (const [b, bStride] of [
      [Float64Array.from(special).reverse(), 1],
      [Float64Array.of(0.5), 0],
    ] as const) {
      const target = new Float64Array(special.length)
      loop(target, special.length, a, 1, b, bStride, a, 0)
      expect([...target]).toEqual(special.map((value, i) => apply(value, b[i * bStride]!)))
    }
  })
})

it('where takes the second operand where the first is not 0', () => {
  const target = new Float64Array(4)
  elementwiseLoop('where', ['bool', 'f32', 'f32'], 'f32')(
    target,
    4,
    Float64Array.of(1, 0, 1, 0),
    1,
    Float64Array.of(5, 6, 7, 8),
    1,
    Float64Array.of(Number.NaN),
    0,
  )
  expect([...target]).toEqual([5, Number.NaN, 7, Number.NaN])
})

it('accumulation goes through all elements, repeated ones too', () => {
  expect(accumulateSum(1, Float64Array.of(2, 3, 4), 1, 3)).toBe(10)
  expect(accumulateSum(1, Float64Array.of(2), 0, 3)).toBe(7)
  expect(accumulate((a, b) => a * b, 1, Float64Array.of(2, 3, 4), 1, 2)).toBe(6)
})
