import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as wasm from '@tessera/backend-wasm'
import * as core from '@tessera/core'
import { opTests, untestedOps } from '@tessera/core/testing'
import type { CheckOptions, Findings } from './report.ts'
import { root } from './workspace.ts'

const page = 'docs/coverage.md'
const cure = 'if that is meant, run: npm run check:packages -- coverage --update'

/** The formats that each backend of this workspace is tested with; `testOp` leaves out others. */
const backends: readonly { readonly name: string; readonly formats: readonly string[] }[] = [
  { name: 'reference', formats: core.coreFormats.map(({ name }) => name) },
  { name: 'wasm', formats: wasm.wasmFormats },
]

/** `cumulativeSum, reverse` is a test of `cumulativeSum`. */
const nameOf = (test: string): string => test.split(',')[0]!

/** Functions of core that give tensors, and methods of tensors: what has to be covered. */
function offered(): string[] {
  const functions = Object.entries(core).flatMap(([name, value]) =>
    typeof value === 'function' && /^[a-z]/.test(name) ? [name] : [],
  )
  const methods = Object.getOwnPropertyNames(core.Tensor.prototype).filter(
    (name) =>
      name !== 'constructor' &&
      typeof Object.getOwnPropertyDescriptor(core.Tensor.prototype, name)?.value === 'function',
  )
  return [...new Set([...functions, ...methods])].sort()
}

/** Names without a test and without a reason, and reasons for what is tested or not there. */
function holes(): string[] {
  const tested = new Set(opTests.map(({ op }) => nameOf(op)))
  const names = offered()
  return [
    ...names
      .filter((name) => !tested.has(name) && !(name in untestedOps))
      .map(
        (name) =>
          `${name}: has no entry in opTests; add one, or a reason to untestedOps, in core/src/testing/operations`,
      ),
    ...Object.keys(untestedOps)
      .filter((name) => tested.has(name) || !names.includes(name))
      .map((name) => `${name}: is in untestedOps, but ${tested.has(name) ? 'has a test' : 'core does not offer it'}`),
  ]
}

function print(): string {
  const tests = new Map<string, { topic: string; formats: Set<string>; gradient: string; cases: number }>()
  for (const { op, topic, formats, gradient, cases } of opTests) {
    const entry = tests.get(nameOf(op)) ?? { topic, formats: new Set(), gradient: '', cases: 0 }
    for (const format of formats) entry.formats.add(format)
    entry.gradient = gradient === true ? 'first and second' : entry.gradient || `none: ${gradient}`
    entry.cases += cases.length
    tests.set(nameOf(op), entry)
  }
  const order = core.coreFormats.map(({ name }) => name as string)
  const lines = [
    '# Coverage of ops',
    '',
    'Written by `npm run check:packages -- coverage --update` from the tables that `testOp` runs; a check fails when it is not current. Values are compared with a',
    'float64 reference in every format that is listed, traced and not, fused and one op at a time, single and by `vmap`; gradients with central differences of the',
    'reference, second gradients with differences of the first.',
    '',
    ...backends.map(
      ({ name, formats }) => `- **${name}** computes with ${formats.map((format) => `\`${format}\``).join(', ')}.`,
    ),
    '',
  ]
  const topics = [...new Set([...tests.values()].map(({ topic }) => topic))]
  let count = 0
  for (const topic of topics) {
    lines.push(`## ${topic[0]!.toUpperCase()}${topic.slice(1)}`, '')
    lines.push(
      `| op | cases | ${backends.map(({ name }) => name).join(' | ')} | gradient |`,
      `|---|---|${backends.map(() => '---|').join('')}---|`,
    )
    for (const [name, { topic: own, formats, gradient, cases }] of [...tests].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (own !== topic) continue
      const columns = backends.map((backend) => {
        const shared = order.filter((format) => formats.has(format) && backend.formats.includes(format))
        count += shared.length
        return shared.join(' ') || 'none: it computes with none of these formats'
      })
      lines.push(`| \`${name}\` | ${cases} | ${columns.join(' | ')} | ${gradient} |`)
    }
    lines.push('')
  }
  lines.push('## Tested elsewhere', '', '| function | where, or why not |', '|---|---|')
  for (const [name, reason] of Object.entries(untestedOps).sort(([a], [b]) => (a < b ? -1 : 1)))
    lines.push(`| \`${name}\` | ${reason} |`)
  const cases = [...tests.values()].reduce((sum, test) => sum + test.cases, 0)
  lines.push('', `${tests.size} ops with ${cases} cases; ${count} combinations of op, format and backend.`, '')
  return lines.join('\n')
}

/** Compares the coverage page with the tables of op tests, or writes it; every op of core must be tested or have a reason. */
export function checkCoverage({ update }: CheckOptions): Findings {
  const file = join(root, page)
  const text = print()
  if (update) writeFileSync(file, text)
  const isCurrent = update || (existsSync(file) && readFileSync(file, 'utf8') === text)
  return {
    errors: [...holes(), ...(isCurrent ? [] : [`${page}: is not current; ${cure}`])],
    summary: text.trimEnd().split('\n').at(-1)!,
  }
}
