import { randomKey, randomNormal, tensor } from '@tessera/core'
import { describe, expect, it } from 'vitest'
import { sparseAttention } from '../op.ts'
import { drawPattern, patternPixels } from './draw.ts'
import {
  banded,
  blocks,
  column,
  convolution,
  dense,
  fixed,
  fixedHeads,
  interleaved,
  local,
  row,
  type SparsePattern,
  strided,
} from './pattern.ts'
import { isVisible } from './visible.ts'

/** A pattern as lines of dots and hashes. */
const picture = (pattern: SparsePattern, length: number): string[] =>
  Array.from({ length }, (_, i) => Array.from({ length }, (_, j) => (isVisible(pattern, i, j) ? '#' : '.')).join(''))

describe('patterns', () => {
  it('show what the papers draw', () => {
    expect(picture(strided(3), 7)).toEqual([
      '#......',
      '##.....',
      '###....',
      '####...',
      '.####..',
      '..####.',
      '#..####',
    ])
    expect(picture(fixed(3, 1), 7)).toEqual([
      '#......',
      '##.....',
      '###....',
      '..##...',
      '..###..',
      '..####.',
      '..#..##',
    ])
    expect(picture(fixed(4, 1, { subBlock: 1, part: 'summary' }), 6)).toEqual([
      '#.....',
      '.#....',
      '..#...',
      '..##..',
      '..#.#.',
      '..#..#',
    ])
    expect(picture(banded(2), 4)).toEqual(['#...', '##..', '.##.', '..##'])
    // One position of text, then an image two wide.
    expect(picture(row(1, 2), 5)).toEqual(['#....', '##...', '###..', '####.', '#.###'])
    expect(picture(column(1, 2), 5)).toEqual(['#....', '##...', '#.#..', '##.#.', '#.#.#'])
    expect(picture(convolution(0, 3, 3), 7)).toEqual([
      '#......',
      '##.....',
      '###....',
      '####...',
      '#####..',
      '.#####.',
      '..#####',
    ])
    expect(
      picture(
        blocks(
          2,
          [
            [1, 0],
            [1, 1],
          ],
          { causal: false },
        ),
        3,
      ),
    ).toEqual(['##.', '##.', '###'])
  })

  it('give heads sub-blocks of their own, and layers patterns in turn', () => {
    expect(fixedHeads(8, 3, 3).map(({ subBlock }) => subBlock)).toEqual([0, 1, 0])
    expect([0, 1, 2].map((layer) => interleaved([local(2), strided(4)], layer).kind)).toEqual([
      'local',
      'strided',
      'local',
    ])
  })

  it('are drawn', () => {
    expect(drawPattern(local(2), 3, { cell: 1 })).toBe(
      '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 3 3" width="3" height="3"><title>local attention, 3 positions</title><path fill="#eef2f6" d="M0 0h3v3h-3z"/>' +
        '<path fill="#3a86c8" d="M0 1h1v1h-1zM1 2h1v1h-1z"/><path fill="#12355b" d="M0 0h1v1h-1zM1 1h1v1h-1zM2 2h1v1h-1z"/></svg>\n',
    )
    expect(() => drawPattern(local(4), 3)).toThrow('window 4 exceeds the length 3')
  })

  it('are drawn as pixels', () => {
    const { data, shape } = patternPixels(local(2), 3, { cell: 2 })
    expect(shape).toEqual([3, 6, 6])
    const at = (x: number, y: number) => [0, 1, 2].map((channel) => data[(channel * 6 + y) * 6 + x])
    expect([at(1, 0), at(1, 3), at(5, 1)]).toEqual([
      [0x12, 0x35, 0x5b],
      [0x3a, 0x86, 0xc8],
      [0xee, 0xf2, 0xf6],
    ])
  })

  const mask = Array.from({ length: 6 }, (_, a) =>
    Array.from({ length: 6 }, (_, b) => a === b || (a + 2 * b) % 3 === 0),
  )
  it.each<[string, SparsePattern]>([
    ['dense', dense()],
    ['strided', strided(6)],
    ['strided-window', strided(6, 'window')],
    ['strided-column', strided(6, 'column')],
    ['fixed', fixed(6, 1)],
    ['fixed-block', fixed(6, 1, { part: 'block' })],
    ['fixed-summary', fixed(6, 1, { part: 'summary' })],
    ['fixed-second-head', fixedHeads(6, 1, 2)[1]!],
    ['local', local(6)],
    ['row', row(6, 6)],
    ['column', column(6, 6)],
    ['convolution', convolution(6, 6, 3)],
    ['blocks', blocks(6, mask)],
  ])('are pictures of the README: %s', async (name, pattern) => {
    await expect(drawPattern(pattern, 36, { cell: 4 })).toMatchFileSnapshot(`../../pictures/${name}.svg`)
  })
})

describe('what does not fit is refused', () => {
  const x = randomNormal(randomKey(1), [2, 12, 4])
  it.each<[string, SparsePattern | SparsePattern[], RegExp]>([
    ['a stride of 0', strided(0), /stride is 0; it must be an integer of at least 1/],
    ['a stride above the length', strided(13), /stride 13 exceeds the length 12/],
    ['a window of half a key', local(1.5), /window is 1\.5/],
    ['more summary cells than a block', fixed(4, 5), /5 summary cells do not fit a block of 4/],
    [
      'a sub-block outside of the block',
      fixed(4, 2, { subBlock: 2 }),
      /sub-block 2 of 2 cells lies outside a block of 4, which has 2/,
    ],
    ['heads that do not divide', [local(1), local(2), local(3)], /2 heads do not divide among 3 patterns/],
    ['no pattern', [], /among 0 patterns/],
    [
      'a query without keys',
      blocks(6, [
        [1, 0],
        [0, 0],
      ]),
      /query 6 sees no key/,
    ],
    [
      'a causal query that sees only later keys',
      blocks(6, [
        [0, 1],
        [1, 0],
      ]),
      /query 0 sees no key \(line 0 of the mask is 01, and it is causal\)/,
    ],
    [
      'a mask of the wrong shape',
      blocks(5, [
        [1, 1],
        [1, 1],
      ]),
      /need a mask of \[3, 3\], got 2 columns in line 0/,
    ],
    ['a mask with a short line', blocks(6, [[1, 1], [1]]), /got 1 columns in line 1/],
    ['more text than positions', row(13, 2), /13 positions of text exceed the length 12/],
    ['a window of even size', convolution(0, 8, 4), /size 4 must be odd/],
  ])('%s', (_, pattern, message) => {
    expect(() => sparseAttention(x, x, x, pattern)).toThrow(message)
  })

  it('operands that do not fit each other', () => {
    const short = randomNormal(randomKey(1), [2, 11, 4])
    expect(() => sparseAttention(x, short, short, local(2))).toThrow(
      /takes query and key .* got f32\[2, 12, 4\], f32\[2, 11, 4\]/,
    )
    expect(() => sparseAttention(x, x, x, local(2), { offset: tensor([1]) })).toThrow(
      /offset must be an i32 scalar, got f32\[1\]/,
    )
  })
})
