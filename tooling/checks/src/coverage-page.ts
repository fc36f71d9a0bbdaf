import * as core from '@tessera/core'
import { type CoverageRecord, opTests, untestedOps } from '@tessera/core/testing'

/** What stands on `docs/coverage.md`: the records that runs of `testOp` wrote, beside the tables of tests. */

/** `cumulativeSum, reverse` is a test of `cumulativeSum`. */
export const nameOf = (test: string): string => test.split(',')[0]!

type CheckName = keyof NonNullable<CoverageRecord['ops'][string]>

interface Covered {
  readonly format: string
  readonly cases: number
  readonly drawn: number
}

/** `f32 9+6, i32 8+2` */
function parse(text: string | undefined): Covered[] {
  return (text ?? '').split(', ').flatMap((part) => {
    const match = /^(\w+) (\d+)\+(\d+)$/.exec(part)
    return match ? [{ format: match[1]!, cases: Number(match[2]), drawn: Number(match[3]) }] : []
  })
}

const checkNames: readonly CheckName[] = ['values', 'vmap', 'gradient', 'second gradient']

const countOf = (record: CoverageRecord, check: CheckName, count: (covered: Covered) => number): number =>
  Object.values(record.ops)
    .flatMap((checks) => parse(checks[check]))
    .reduce((sum, covered) => sum + count(covered), 0)

/** The reason that a record gives for a format or a check that is missing. */
function reasonFor(record: CoverageRecord, missing: string): string | undefined {
  return Object.entries(record.gaps).find(([names]) => names.split(', ').includes(missing))?.[1]
}

/** What a record neither covers nor gives a reason for. */
export function silentHoles(name: string, record: CoverageRecord): string[] {
  return opTests.flatMap(({ op, formats, gradient }) => {
    const checks = record.ops[op] ?? {}
    const values = new Set(parse(checks.values).map(({ format }) => format))
    const wanted: readonly CheckName[] = gradient === true ? checkNames : ['values', 'vmap']
    const missing = [
      ...formats.filter((format) => !values.has(format)),
      ...wanted.filter((check) => checks[check] === undefined && (check !== 'values' || values.size > 0)),
    ]
    return missing
      .filter((part) => reasonFor(record, part) === undefined && !lacksFormats(record, op))
      .map((part) => `${name}: ${op} is not covered (${part}), and the record gives no reason`)
  })
}

/** No format of an op is one that the suite runs in. */
function lacksFormats(record: CoverageRecord, op: string): boolean {
  const { formats } = opTests.find((test) => test.op === op)!
  return formats.every((format) => reasonFor(record, format) !== undefined)
}

const order = core.coreFormats.map(({ name }) => name as string)
const title = (text: string) => text[0]!.toUpperCase() + text.slice(1)
const cell = (formats: readonly string[]) => (formats.length > 0 ? formats.join(' ') : '–')

function suiteTable(records: ReadonlyMap<string, CoverageRecord>): string[] {
  const lines = [
    '| suite | what runs | ops | op × format | cases | drawn cases | gradients | second gradients | `vmap` |',
    '|---|---|---|---|---|---|---|---|---|',
  ]
  for (const [name, record] of records) {
    const total = (count: (covered: Covered) => number) =>
      checkNames.reduce((sum, check) => sum + countOf(record, check, count), 0)
    const ops = new Set(Object.keys(record.ops).map(nameOf)).size
    const ofOps = (check: CheckName) => Object.values(record.ops).filter((checks) => checks[check]).length
    lines.push(
      `| \`${name}\` | ${record.suite} | ${ops} | ${pairs(record)} | ${total(({ cases }) => cases)} | ${total(({ drawn }) => drawn)} ` +
        `| ${ofOps('gradient')} | ${ofOps('second gradient')} | ${ofOps('vmap')} |`,
    )
  }
  return [...lines, '']
}

/** Combinations of op and format that a record covers. */
function pairs(record: CoverageRecord): number {
  const all = Object.entries(record.ops).flatMap(([op, checks]) =>
    parse(checks.values).map(({ format }) => `${nameOf(op)} ${format}`),
  )
  return new Set(all).size
}

function gapList(records: ReadonlyMap<string, CoverageRecord>): string[] {
  const lines = [...records].flatMap(([name, { gaps }]) =>
    Object.entries(gaps).map(([names, reason]) => `- \`${name}\` leaves out ${names}: ${reason}.`),
  )
  return [...lines, '']
}

function topicTables(columns: ReadonlyMap<string, CoverageRecord>): string[] {
  const lines: string[] = []
  for (const topic of new Set(opTests.map((test) => test.topic))) {
    lines.push(`## ${title(topic)}`, '')
    lines.push(`| op | cases | ${[...columns.keys()].join(' | ')} | gradient |`)
    lines.push(`|---|---|${'---|'.repeat(columns.size)}---|`)
    const names = [...new Set(opTests.filter((test) => test.topic === topic).map(({ op }) => nameOf(op)))].sort()
    for (const name of names) {
      const tests = opTests.filter((test) => test.topic === topic && nameOf(test.op) === name)
      const cases = tests.reduce((sum, test) => sum + test.cases.length, 0)
      const cells = [...columns.values()].map((record) => {
        const formats = tests.flatMap(({ op }) => parse(record.ops[op]?.values).map(({ format }) => format))
        return cell(order.filter((format) => formats.includes(format)))
      })
      const reason = tests.map(({ gradient }) => gradient).find((gradient) => gradient !== true)
      const gradient = tests.some((test) => test.gradient === true) ? 'first and second' : `none: ${reason}`
      lines.push(`| \`${name}\` | ${cases} | ${cells.join(' | ')} | ${gradient} |`)
    }
    lines.push('')
  }
  return lines
}

const introduction = `# Coverage of ops

Written by \`npm run check:packages -- coverage --update\` from [records](coverage) of what passed when \`testOp\` ran; a check fails when the page is not current,
when a record leaves something out without a reason, or when an op of core is neither tested nor has a reason. The tests compare their run with the record, so
that a record cannot claim what did not run.

- **values** are compared with a float64 reference, traced and not; on the reference backend fused and one op at a time.
- **gradients** are compared with central differences of the reference, **second gradients** with differences of the first, \`vmap\` with one example at a time.
- **cases** are those of the tables; **drawn cases** have random shapes (0, 1, odd, larger than a tile), attributes, memory layouts (transposed, every second
  element, reversed, cut out of a larger tensor, broadcast) and contents (NaN, infinities, signed zeros and denormals among them where the op defines them). A
  failure is reported in its simplest form, with its seed. [How](decisions/0017-drawn-cases.md)
`

/** The text of the page. `records` are in the order of the table of suites; those named in `columns` have a column of their own. */
export function coveragePage(records: ReadonlyMap<string, CoverageRecord>, absent: readonly string[]): string {
  const columns = new Map([...records].filter(([name, { backend }]) => name === backend))
  const tested = new Set(opTests.map(({ op }) => nameOf(op))).size
  const drawn = [...records.values()].reduce(
    (sum, record) =>
      sum + checkNames.reduce((part, check) => part + countOf(record, check, (covered) => covered.drawn), 0),
    0,
  )
  const combinations = [...columns.values()].reduce((sum, record) => sum + pairs(record), 0)
  const cases = opTests.reduce((sum, test) => sum + test.cases.length, 0)
  const others = Object.entries(untestedOps).sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    introduction,
    '## Suites',
    '',
    ...suiteTable(records),
    'What the suites leave out, and why:',
    '',
    ...gapList(records),
    ...topicTables(columns),
    '## Tested elsewhere',
    '',
    '| function | where, or why not |',
    '|---|---|',
    ...others.map(([name, reason]) => `| \`${name}\` | ${reason} |`),
    '',
    ...absent,
    `${tested} ops with ${cases} cases in tables; ${combinations} combinations of op, format and backend; ${drawn} drawn cases.`,
    '',
  ].join('\n')
}
