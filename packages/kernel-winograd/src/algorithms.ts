import { cookToom, reversedColumns, withPlainFilter } from './generator/cook-toom.ts'
import { type LinearProgram, linearProgram } from './generator/linear-program.ts'

/** Points of the algorithms, without infinity. Those of α = 6 round about four times less than 0, ±1, ±2. */
const points = {
  4: [0, 1, -1],
  6: [0, 5 / 8, -5 / 8, 3 / 2, -3 / 2],
} as const

/** Relative error of the algorithms, by α, for operands of the size of one. */
export const tolerances = { 4: 2e-6, 6: 5e-6 } as const

/** The transforms that kernels with tiles of α × α products need, as programs for vectors. */
export interface Algorithm {
  /** α: inputs of a tile in each direction; 4 for F(2×2, 3×3), 6 for F(4×4, 3×3). */
  readonly size: 4 | 6
  /** Outputs of a tile: α − 2. The gradient to the filter takes tiles of as many errors. */
  readonly outputs: number
  /** Bᵀ, α → α. */
  readonly input: LinearProgram
  /** G, 3 → α; and for filters turned by 180°. */
  readonly filter: LinearProgram
  readonly turnedFilter: LinearProgram
  /** Aᵀ, α → outputs. */
  readonly output: LinearProgram
  /** G of F(3×3, outputs × outputs), outputs → α. */
  readonly error: LinearProgram
  /** Aᵀ of F(3×3, outputs × outputs), α → 3. */
  readonly filterGradient: LinearProgram
}

/** The window of the filters that the kernels take. */
export const taps = 3

export function algorithmOf(size: 4 | 6): Algorithm {
  const outputs = size - taps + 1
  const forward = withPlainFilter(cookToom(outputs, taps, points[size]))
  // Bᵀ depends on the points only, so both share it.
  const backward = withPlainFilter(cookToom(taps, outputs, points[size]))
  return {
    size,
    outputs,
    input: linearProgram(forward.input),
    filter: linearProgram(forward.filter),
    turnedFilter: linearProgram(reversedColumns(forward.filter)),
    output: linearProgram(forward.output),
    error: linearProgram(backward.filter),
    filterGradient: linearProgram(backward.output),
  }
}
