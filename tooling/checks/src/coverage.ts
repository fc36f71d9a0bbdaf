import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as core from '@tessera/core'
import { type CoverageRecord, opTests, untestedOps } from '@tessera/core/testing'
import * as nn from '@tessera/nn'
import { absentFunctions, danglingNames } from './coverage-absent.ts'
import { coveragePage, nameOf, silentHoles } from './coverage-page.ts'
import type { CheckOptions, Findings } from './report.ts'
import { root } from './workspace.ts'

const page = 'docs/coverage.md'
const folder = 'docs/coverage'
const cure = 'if that is meant, run: npm run check:packages -- coverage --update'

/** What each suite covered when it last ran: the oracle first, then by name. */
function readRecords(): Map<string, CoverageRecord> {
  const names = readdirSync(join(root, folder))
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -5))
    .sort((a, b) => Number(b === 'reference') - Number(a === 'reference') || (a < b ? -1 : 1))
  return new Map(names.map((name) => [name, JSON.parse(readFileSync(join(root, folder, `${name}.json`), 'utf8'))]))
}

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
function untested(): string[] {
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

/** Compares the coverage page with the records of test runs, or writes it; every op of core must be tested or have a reason. */
export function checkCoverage({ update }: CheckOptions): Findings {
  const file = join(root, page)
  const records = readRecords()
  const text = coveragePage(records, absentFunctions())
  if (update) writeFileSync(file, text)
  const isCurrent = update || (existsSync(file) && readFileSync(file, 'utf8') === text)
  return {
    errors: [
      ...untested(),
      ...danglingNames(new Set([...offered(), ...Object.keys(nn)])),
      ...[...records].flatMap(([name, record]) => silentHoles(name, record)),
      ...(isCurrent ? [] : [`${page}: is not current; ${cure}`]),
    ],
    summary: text.trimEnd().split('\n').at(-1)!,
  }
}
