import type { SparsePattern } from './pattern.ts'

/** Arithmetic in which masks are written once: of numbers, to draw and to test, and of tensors, as the op's meaning. */
export interface MaskAlgebra<Value, Truth> {
  subtract(a: Value, b: Value): Value
  remainder(a: Value, b: number): Value
  /** Both not negative, rounded down. */
  quotient(a: Value, b: number): Value
  atMost(a: Value, b: number): Truth
  atLeast(a: Value, b: number): Truth
  equal(a: Value, b: Value): Truth
  and(a: Truth, b: Truth): Truth
  or(a: Truth, b: Truth): Truth
  /** Whether place `b` of line `a` of a mask is `1`. */
  lookUp(mask: readonly string[], a: Value, b: Value): Truth
}

/** Whether query `i` sees key `j`. */
export function visible<Value, Truth>(
  pattern: SparsePattern,
  i: Value,
  j: Value,
  algebra: MaskAlgebra<Value, Truth>,
): Truth {
  const { subtract, remainder, quotient, atMost, atLeast, equal, and, or, lookUp } = algebra
  const back = subtract(i, j)
  const past = atLeast(back, 0)
  switch (pattern.kind) {
    case 'dense':
      return past
    case 'local':
      return and(past, atMost(back, pattern.window - 1))
    case 'strided': {
      const window = atMost(back, pattern.stride - 1)
      const column = atMost(remainder(back, pattern.stride), 0)
      const seen = pattern.part === 'window' ? window : pattern.part === 'column' ? column : or(window, column)
      return and(past, seen)
    }
    case 'fixed': {
      const end = pattern.block - pattern.subBlock * pattern.summary
      const cell = remainder(j, pattern.block)
      const summary = and(atLeast(cell, end - pattern.summary), atMost(cell, end - 1))
      const own = equal(quotient(i, pattern.block), quotient(j, pattern.block))
      const seen =
        pattern.part === 'block' ? own : pattern.part === 'summary' ? or(summary, atMost(back, 0)) : or(own, summary)
      return and(past, seen)
    }
    case 'row':
    case 'column':
    case 'convolution': {
      const { text, width } = pattern
      const ofText = atMost(j, text - 1)
      const inImage = pattern.kind === 'row' ? atMost(back, width) : offsets(pattern, back, algebra)
      return and(past, or(ofText, and(atLeast(i, text), inImage)))
    }
    case 'blocks': {
      const seen = lookUp(pattern.mask, quotient(i, pattern.size), quotient(j, pattern.size))
      return pattern.causal ? and(past, seen) : seen
    }
  }
}

/** Raster offsets of columns and of windows. */
function offsets<Value, Truth>(
  pattern: Extract<SparsePattern, { kind: 'row' | 'column' | 'convolution' }>,
  back: Value,
  { atMost, atLeast, remainder, and, or }: MaskAlgebra<Value, Truth>,
): Truth {
  if (pattern.kind !== 'convolution') return atMost(remainder(back, pattern.width), 0)
  const half = (pattern.size - 1) / 2
  return Array.from({ length: half + 1 }, (_, above) =>
    and(atLeast(back, above * pattern.width - half), atMost(back, above * pattern.width + half)),
  ).reduce((all, line) => or(all, line))
}

export const numberAlgebra: MaskAlgebra<number, boolean> = {
  subtract: (a, b) => a - b,
  remainder: (a, b) => a % b,
  quotient: (a, b) => Math.floor(a / b),
  atMost: (a, b) => a <= b,
  atLeast: (a, b) => a >= b,
  equal: (a, b) => a === b,
  and: (a, b) => a && b,
  or: (a, b) => a || b,
  lookUp: (mask, a, b) => mask[a]![b] === '1',
}

/** Whether query `i` sees key `j`, as a number question. */
export function isVisible(pattern: SparsePattern, i: number, j: number): boolean {
  return visible(pattern, i, j, numberAlgebra)
}
