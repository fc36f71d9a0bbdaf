import { dense, type SparsePattern } from './pattern.ts'

/**
 * A pattern for a text that may be shorter than the one it was made for: where a window, stride, block or prefix covers all of the text, every query
 * sees all keys before it.
 */
export function fitted(pattern: SparsePattern, length: number): SparsePattern {
  switch (pattern.kind) {
    case 'local':
      return pattern.window >= length ? dense() : pattern
    case 'strided':
      return pattern.stride >= length && pattern.part !== 'column' ? dense() : pattern
    case 'fixed':
      return pattern.block >= length && pattern.part !== 'summary' ? dense() : pattern
    case 'row':
    case 'column':
    case 'convolution':
      return pattern.text >= length ? dense() : pattern
    default:
      return pattern
  }
}
