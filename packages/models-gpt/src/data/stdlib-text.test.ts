import { describe, expect, it } from 'vitest'
import { mobyDickText } from './stdlib-text.ts'

describe('mobyDickText', () => {
  it('gives the novel from chapter 1 to the epilogue', async () => {
    const text = await mobyDickText()
    expect(text.startsWith('CHAPTER 1. Loomings.\n\nCall me Ishmael. Some years ago')).toBe(true)
    expect(text.endsWith('only found another orphan.\n')).toBe(true)
    expect(text.match(/^CHAPTER \d+\. /gm)).toHaveLength(135)
    expect(text).not.toMatch(/gutenberg|Sub-Sub-Librarian/i)
    expect(text.length).toBeGreaterThan(1_180_000)
    expect(new Set(text).size).toBe(81)
  })

  it('says what to do when the package is not installed or is another', async () => {
    const absent = mobyDickText(() => Promise.reject(new Error('Cannot find package')))
    await expect(absent).rejects.toMatchObject({ code: 'TEXT_PACKAGE_MISSING' })
    await expect(absent).rejects.toThrow(/Cannot find package. Install it, or give a text file/)
    for (const other of [undefined, {}, { default: () => 'text' }, { default: () => [{ text: 'a' }] }]) {
      await expect(mobyDickText(() => Promise.resolve(other))).rejects.toThrow(/does not export a function/)
    }
  })
})
