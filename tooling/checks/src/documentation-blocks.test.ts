import { expect, test } from 'vitest'
import { readCodeBlocks } from './documentation-blocks.ts'

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

\`\`\`js no-run
while (true) {}
\`\`\`
`

test('keeps the line numbers of the page, joins continued blocks and honours no-run', () => {
  const blocks = readCodeBlocks('README.md', page)
  expect(blocks.map(({ line, run }) => ({ line, run }))).toEqual([
    { line: 4, run: true },
    { line: 16, run: false },
  ])
  expect(blocks[0]!.source.split('\n')[3]).toBe('const one = 1')
  expect(blocks[0]!.source.split('\n')[11]).toBe('console.log(one)')
  expect(blocks[1]!.source.split('\n')[15]).toBe('while (true) {}')
})

test('refuses what it does not understand', () => {
  expect(() => readCodeBlocks('a.md', '```ts skip\n1\n```')).toThrow('a.md:1: unknown word "skip"')
  expect(() => readCodeBlocks('a.md', 'text\n```ts\n1')).toThrow('a.md:2: the code block is never closed')
  expect(() => readCodeBlocks('a.md', '```ts continue\n1\n```')).toThrow('no block stands before')
})
