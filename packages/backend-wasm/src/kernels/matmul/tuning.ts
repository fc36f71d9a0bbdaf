import type { Variant } from '../../variant.ts'

/** Sizes of the register tile of a variant. */
export interface MatmulTuning {
  readonly variant: Variant
  /** Rows of C in a full tile. */
  readonly rows: number
  /** Vectors of four columns in a tile, widest first; the narrower ones serve the last columns. */
  readonly widths: readonly [number, ...number[]]
  /** Steps of k in one round of a full tile's loop. */
  readonly unroll: number
}

/**
 * The tile of each variant, chosen by measurement on x86-64 (16 vector registers): `wide` counts pairs of vectors as one register.
 * @param spillsEarly engines before V8 13 (Node 20 and 22) spill from twelve accumulators on
 */
export function matmulTuning(variant: Variant, spillsEarly = engineSpillsEarly()): MatmulTuning {
  if (variant === 'wide') return { variant, rows: 6, widths: [4, 2], unroll: 4 }
  if (spillsEarly) return { variant, rows: 4, widths: [2, 1], unroll: 1 }
  if (variant === 'relaxed') return { variant, rows: 6, widths: [2, 1], unroll: 4 }
  return { variant, rows: 5, widths: [2, 1], unroll: 4 }
}

function engineSpillsEarly(): boolean {
  const node = (globalThis as { process?: { versions?: { node?: string } } }).process?.versions?.node
  return node !== undefined && Number.parseInt(node, 10) < 24
}

/** Columns of the widest tile. */
export function tileColumns(tuning: MatmulTuning): number {
  return 4 * tuning.widths[0]
}
