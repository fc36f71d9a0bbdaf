import { describe, expect, it } from 'vitest'
import { rewriteLinks } from './links.ts'

const pages = new Map([
  ['ARCHITECTURE.md', 'architecture.md'],
  ['packages/core/README.md', 'packages/core.md'],
  ['docs/decisions/0001-a.md', 'decisions/0001-a.md'],
  ['docs/loss.svg', 'loss.svg'],
  ['packages/core/pictures/flow.svg', 'packages/core/pictures/flow.svg'],
])
const rewrite = (text: string, file: string) => rewriteLinks(text, file, pages, 'https://example.org/tree')

describe('rewriteLinks', () => {
  it('sends links between Markdown files to pages, with their anchors', () => {
    expect(rewrite('[a](../../ARCHITECTURE.md#the-flow)', 'packages/core/README.md')).toBe(
      '[a](/architecture#the-flow)',
    )
    expect(rewrite('[b](decisions/0001-a.md)', 'docs/benchmarks.md')).toBe('[b](/decisions/0001-a)')
  })
  it('takes a folder for its README', () => {
    expect(rewrite('[core](packages/core)', 'README.md')).toBe('[core](/packages/core)')
    expect(rewrite('[core](packages/core/)', 'README.md')).toBe('[core](/packages/core)')
  })
  it('keeps pictures relative', () => {
    expect(rewrite('![flow](pictures/flow.svg)', 'packages/core/README.md')).toBe('![flow](./core/pictures/flow.svg)')
    expect(rewrite('![loss](../loss.svg)', 'docs/decisions/0001-a.md')).toBe('![loss](../loss.svg)')
  })
  it('sends links to sources to the repository and leaves others alone', () => {
    expect(rewrite('[x](src/index.ts)', 'packages/core/README.md')).toBe(
      '[x](https://example.org/tree/packages/core/src/index.ts)',
    )
    expect(rewrite('[y](https://example.com/z) [z](#here)', 'README.md')).toBe('[y](https://example.com/z) [z](#here)')
  })
})
