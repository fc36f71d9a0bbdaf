/** A code block of a documentation page. */
export interface CodeBlock {
  /** Path of the page from the root of the repository. */
  readonly page: string
  /** Line of the first line of code, from 1. */
  readonly line: number
  /** The code, behind as many empty lines as it takes to keep the line numbers of the page. */
  readonly source: string
  /** Whether to run it as well as to type-check it. */
  readonly run: boolean
}

/**
 * Keeps the text of the documentation comments of TypeScript source, at its lines, and empties every other line: what is
 * left is Markdown.
 */
export function readComments(source: string): string {
  let inside = false
  const lines = source.split('\n').map((line) => {
    if (/^\s*\/\*\*/.test(line)) inside = true
    const text = inside ? line.replace(/^\s*(\/\*\*|\*(?!\/)) ?/, '') : ''
    if (!line.includes('*/')) return text
    inside = false
    return text.replace(/\s*\*\/.*$/, '')
  })
  return lines.join('\n')
}

const knownWords = ['no-run', 'continue', 'sketch']

/**
 * Extracts the `ts` and `js` blocks of a Markdown page. Words after the language change what happens to a block:
 * `no-run` type-checks it only, `continue` appends it to the block before, and `sketch` leaves it alone, for code with parts
 * left out.
 */
export function readCodeBlocks(page: string, markdown: string): CodeBlock[] {
  const lines = markdown.split('\n')
  const blocks: { start: number; code: string[]; run: boolean }[] = []
  for (let index = 0; index < lines.length; index += 1) {
    const fence = /^(\s*)(`{3,}|~{3,})\s*(\w*)(.*)$/.exec(lines[index]!)
    if (!fence) continue
    const [, indent, marker, language, rest] = fence as unknown as [string, string, string, string, string]
    const end = lines.findIndex((line, at) => at > index && line.trim() === marker)
    if (end < 0) throw new Error(`${page}:${index + 1}: the code block is never closed: add ${marker}`)
    if (['ts', 'typescript', 'js', 'javascript'].includes(language)) {
      const code = lines
        .slice(index + 1, end)
        .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
      const words = rest.trim().split(/\s+/).filter(Boolean)
      const unknown = words.find((word) => !knownWords.includes(word))
      if (unknown) {
        const cure = `use ${knownWords.join(', ')} or nothing`
        throw new Error(`${page}:${index + 1}: unknown word "${unknown}" after the language: ${cure}`)
      }
      const previous = blocks.at(-1)
      if (words.includes('continue')) {
        if (!previous) throw new Error(`${page}:${index + 1}: no block stands before this one to continue`)
        const gap = index + 1 - (previous.start + previous.code.length)
        previous.code.push(...Array<string>(gap).fill(''), ...code)
        previous.run &&= !words.includes('no-run')
      } else if (!words.includes('sketch')) {
        blocks.push({ start: index + 1, code, run: !words.includes('no-run') })
      }
    }
    index = end
  }
  return blocks.map(({ start, code, run }) => ({
    page,
    line: start + 1,
    source: `${'\n'.repeat(start)}${code.join('\n')}\n`,
    run,
  }))
}
