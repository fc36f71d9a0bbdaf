import picomatch from 'picomatch'

/**
 * The items whose name matches one of the globs, or begins with parts that do; all items without globs.
 * `*` stays within a part of a name. Throws when a glob matches nothing, which is a misspelling more often than a wish.
 *
 * @example selectByGlob(cases, ({ name }) => name, ['matmul/{256,512}', 'matmul/1024/N*'])
 */
export function selectByGlob<Item>(
  items: readonly Item[],
  nameOf: (item: Item) => string,
  globs: readonly string[],
): Item[] {
  if (globs.length === 0) return [...items]
  const matchers = globs.map((glob) => ({ glob, matches: picomatch([glob, `${glob}/**`]) }))
  for (const { glob, matches } of matchers) {
    if (items.some((item) => matches(nameOf(item)))) continue
    throw new Error(`nothing is called like "${glob}"; --list shows the names`)
  }
  return items.filter((item) => matchers.some(({ matches }) => matches(nameOf(item))))
}
