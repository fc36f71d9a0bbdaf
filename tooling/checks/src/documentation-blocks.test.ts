import { expect, test } from 'vitest'
import { readCodeBlocks, readComments } from './documentation-blocks.ts'

const page = `# Title

\`\`\`ts
const one = 1
\`\`\`

\`\`\`sh
npm start
\`\`\`

  \`\`\`ts continue
  console.log(one)
  \`\`\`

\`\`\`ts sketch
const rest = ...
\`\`\`

\`\`\`js no-run
while (true) {}
\`\`\`
`

test('keeps the line numbers of the page, joins continued blocks and honours no-run', () => {
  const blocks = readCodeBlocks('README.md', page)
  expect(blocks.map(({ line, run }) => ({ line, run }))).toEqual([
    { line: 4, run: true },
    { line: 20, run: false },
  ])
  expect(blocks[0]!.source.split('\n')[3]).toBe('const one = 1')
  expect(blocks[0]!.source.split('\n')[11]).toBe('console.log(one)')
  expect(blocks[1]!.source.split('\n')[19]).toBe('while (true) {}')
})

test('refuses what it does not understand', () => {
  expect(() => readCodeBlocks('a.md', '```ts skip\n1\n```')).toThrow('a.md:1: unknown word "skip"')
  expect(() => readCodeBlocks('a.md', 'text\n```ts\n1')).toThrow('a.md:2: the code block is never closed')
  expect(() => readCodeBlocks('a.md', '```ts continue\n1\n```')).toThrow('no block stands before')
})

test('reads the examples of documentation comments at their lines', () => {
  const source = [
    'const before = 1',
    '/**',
    ' * Adds.',
    ' * @example',
    ' * ```ts',
    ' * add(1, 2)',
    ' *   * 3',
    ' * ```',
    ' */',
    'export function add() {}',
    '/** One line. */',
    '  /** @example',
    '   * ```ts',
    '   * add(3, 4)',
    '   * ``` */',
  ].join('\n')
  const blocks = readCodeBlocks('add.ts', readComments(source))
  expect(blocks.map(({ line, source: code }) => [line, code.trim()])).toEqual([
    [6, 'add(1, 2)\n  * 3'],
    [14, 'add(3, 4)'],
  ])
})
