/** A line of an example that prints, with the comment behind it that says what. */
const printing = /^(\s*)console\.log\((.*)\)(?:;|,)?\s*\/\/ (.+)$/

/** Begins each line that an instrumented example reports with. */
const mark = '\u0001'

/** A comment that describes and is not compared: `for example 3.2`. */
const isLoose = (expected: string): boolean => /^(for example|say)\b/.test(expected)

/** Prints its values after the number of a line: arrays, typed or not, and objects as JSON. */
const reporter = `
function printLine(line: number, ...values: unknown[]): void {
  const list = (value: unknown): unknown => (ArrayBuffer.isView(value) ? [...(value as Uint8Array)] : value)
  const text = (value: unknown) => (typeof value === 'object' && value !== null ? JSON.stringify(list(value)) : String(value))
  console.log('\\u0001' + line + ' ' + values.map(text).join(' '))
}
`

/** The same example, in which lines that say what they print report where they stand. Lines keep their numbers. */
export function instrumentPrints(source: string): string {
  const lines = source.split('\n')
  const instrumented = lines.map((line, index) => {
    const [, indent, values, expected] = printing.exec(line) ?? []
    return values === undefined || isLoose(expected!) ? line : `${indent}printLine(${index + 1}, ${values})`
  })
  return instrumented.every((line, index) => line === lines[index]) ? source : instrumented.join('\n') + reporter
}

/** What a value and a comment have in common: words and numbers. */
const tokens = (text: string): string[] =>
  text
    .replaceAll('−', '-')
    .split(/[\s,;:'"`[\](){}]+/)
    .filter((token) => token !== '')

/** A number agrees when it differs by the given share at most. */
function agree(actual: string, expected: string, share: number): boolean {
  if (actual === expected) return true
  const [a, b] = [Number(actual), Number(expected)]
  return Number.isFinite(a) && Number.isFinite(b) && Math.abs(a - b) <= Math.max(share * Math.abs(b), 1e-6)
}

/**
 * True when what was printed is what the comment says, numbers to three digits. `close to 0` allows five hundredths, `about 3`
 * one in a hundred, and a comment that ends in `…` says how the output begins.
 */
export function printedAs(printed: string, comment: string): boolean {
  const close = /^close to (\S+)$/.exec(comment)
  if (close) return Math.abs(Number(printed) - Number(close[1])) <= 0.05
  const about = comment.startsWith('about ')
  const begins = comment.endsWith('…')
  const expected = tokens(comment.replace(/^about |…$/g, ''))
  const actual = tokens(printed)
  const share = about ? 0.01 : 1e-3
  return (
    (begins ? actual.length > expected.length : actual.length === expected.length) &&
    expected.every((token, i) => agree(actual[i]!, token, share))
  )
}

/**
 * Compares the output of an instrumented example with its comments.
 *
 * @returns one line for each comment that is not true, with the line's number
 */
export function compareOutput(source: string, output: string): string[] {
  const printed = new Map<number, string>()
  for (const line of output.split('\n')) {
    const found = line.startsWith(mark) ? /^(\d+) (.*)$/.exec(line.slice(1)) : undefined
    if (found) printed.set(Number(found[1]), found[2]!)
  }
  return source.split('\n').flatMap((line, index) => {
    const comment = printing.exec(line)?.[3]
    if (comment === undefined || isLoose(comment)) return []
    const actual = printed.get(index + 1)
    if (actual === undefined) return [`line ${index + 1}: '${comment}' was never printed`]
    return printedAs(actual, comment) ? [] : [`line ${index + 1}: says '${comment}', prints '${actual}'`]
  })
}
