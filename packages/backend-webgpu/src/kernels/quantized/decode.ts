import type { QuantizedProblem } from './problem.ts'

/** Words that hold a row of w. */
export const wordsOf = ({ depth, bits }: QuantizedProblem): number => (depth * bits) / 32

/**
 * Statements that decode the numbers of `word`, and declare `first`, the place in its row of the first one.
 *
 * @param index the word's place in its row
 * @returns vectors of numbers, and where in the row each starts
 */
export function decodeWord(
  { bits, block }: QuantizedProblem,
  index: string,
  number: (value: number) => string,
): { readonly statements: readonly string[]; readonly dots: readonly { numbers: string; at: string }[] } {
  if (bits === 8) {
    return {
      statements: [
        `let first = ${index} * 4;`,
        'let numbers = vec4<f32>((vec4<i32>(bitcast<i32>(word)) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));',
      ],
      dots: [{ numbers: 'numbers', at: 'first' }],
    }
  }
  // A word has four numbers of the first half of its block, and four of the second.
  return {
    statements: [
      `let first = ${index} / ${number(block / 8)} * ${number(block)} + ${index} % ${number(block / 8)} * 4;`,
      'let low = vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(15u)) - vec4<f32>(8.0f);',
      'let high = vec4<f32>((vec4<u32>(word) >> vec4<u32>(4u, 12u, 20u, 28u)) & vec4<u32>(15u)) - vec4<f32>(8.0f);',
    ],
    dots: [
      { numbers: 'low', at: 'first' },
      { numbers: 'high', at: `(first + ${number(block / 2)})` },
    ],
  }
}

/** The number at a place in a row of w, whose word is to be found by `word`, as statements that end with `return`. */
export function decodeOne(
  { bits, block }: QuantizedProblem,
  word: (index: string) => string,
  number: (value: number) => string,
): string[] {
  if (bits === 8) {
    return [
      `let word = bitcast<i32>(${word('(step >> 2u)')});`,
      'return f32((word << u32(24 - (step & 3) * 8)) >> 24u);',
    ]
  }
  const half = number(block / 2)
  return [
    `let inBlock = step % ${number(block)};`,
    `let place = inBlock % ${half};`,
    `let word = ${word(`(step / ${number(block)} * ${number(block / 8)} + (place >> 2u))`)};`,
    `let shift = u32((place & 3) * 8 + select(0, 4, inBlock >= ${half}));`,
    'return f32((word >> shift) & 15u) - 8.0f;',
  ]
}
