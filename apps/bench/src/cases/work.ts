/** Least arithmetic and least memory traffic of one run: each operand read once, each result written once. */
export interface Work {
  /** Floating-point operations; a multiplication and an addition count as two. */
  readonly flops: number
  /** Bytes read plus bytes written. */
  readonly bytes: number
}
