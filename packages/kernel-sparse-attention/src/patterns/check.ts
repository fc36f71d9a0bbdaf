import { ShapeError, TesseraError } from '@tessera/core'
import type { SparsePattern } from './pattern.ts'

function refuse(message: string): never {
  throw new TesseraError('SPARSE_PATTERN', `sparseAttention: ${message}`)
}

function requireCount(pattern: SparsePattern, name: string, value: number, least = 1): void {
  if (!Number.isInteger(value) || value < least)
    refuse(`${pattern.kind} pattern: ${name} is ${value}; it must be an integer of at least ${least}.`)
}

function requireWithin(pattern: SparsePattern, name: string, value: number, length: number): void {
  requireCount(pattern, name, value)
  if (value > length)
    refuse(
      `${pattern.kind} pattern: ${name} ${value} exceeds the length ${length}. Take at most the length, or about its square root.`,
    )
}

/**
 * Refuses a pattern that makes no sense for a number of positions.
 *
 * @throws TesseraError `SPARSE_PATTERN` that names the rule and the values
 */
export function checkPattern(pattern: SparsePattern, length: number): void {
  switch (pattern.kind) {
    case 'dense':
      return
    case 'local':
      requireWithin(pattern, 'window', pattern.window, length)
      return
    case 'strided':
      requireWithin(pattern, 'stride', pattern.stride, length)
      return
    case 'fixed': {
      const { block, summary, subBlock } = pattern
      requireWithin(pattern, 'block', block, length)
      requireCount(pattern, 'summary', summary)
      requireCount(pattern, 'subBlock', subBlock, 0)
      if (summary > block) refuse(`fixed pattern: ${summary} summary cells do not fit a block of ${block} (c ≤ l).`)
      if ((subBlock + 1) * summary > block)
        refuse(
          `fixed pattern: sub-block ${subBlock} of ${summary} cells lies outside a block of ${block}, which has ${Math.floor(block / summary)}. ` +
            'Count sub-blocks from 0.',
        )
      return
    }
    case 'row':
    case 'column':
    case 'convolution':
      requireCount(pattern, 'text', pattern.text, 0)
      requireCount(pattern, 'width', pattern.width)
      if (pattern.text > length)
        refuse(`${pattern.kind} pattern: ${pattern.text} positions of text exceed the length ${length}.`)
      if (pattern.kind === 'convolution') {
        requireCount(pattern, 'size', pattern.size)
        if (pattern.size % 2 === 0 || pattern.size > pattern.width)
          refuse(
            `convolution pattern: size ${pattern.size} must be odd and at most the width ${pattern.width}, or its rows would overlap.`,
          )
      }
      return
    case 'blocks':
      checkBlocks(pattern, length)
  }
}

function checkBlocks({ size, mask, causal, kind }: Extract<SparsePattern, { kind: 'blocks' }>, length: number): void {
  requireCount({ size, mask, causal, kind }, 'size', size)
  const count = Math.ceil(length / size)
  const wrong = mask.findIndex((line) => line.length !== count)
  if (mask.length !== count || wrong >= 0) {
    throw new ShapeError(
      `sparseAttention: blocks pattern: ${length} positions in blocks of ${size} need a mask of [${count}, ${count}], got ` +
        `${wrong >= 0 ? `${mask[wrong]!.length} columns in line ${wrong}` : `${mask.length} lines`}.`,
    )
  }
  mask.forEach((line, block) => {
    const first = line.indexOf('1')
    if (first < 0 || (causal && first > block))
      refuse(
        `blocks pattern: query ${block * size} sees no key (line ${block} of the mask is ${line}${causal ? ', and it is causal' : ''}). ` +
          'Let every block see itself.',
      )
  })
}
