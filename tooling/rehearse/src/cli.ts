/** Releases the packages to a registry on loopback and uses them as strangers do: `npm run rehearse -- --help`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Table from 'cli-table3'
import { Command } from 'commander'
import { type Consumer, ConsumerContext } from './consumer.ts'
import { bundlerConsumers } from './consumers/bundlers.ts'
import { nodeConsumers } from './consumers/node.ts'
import { thirdParty } from './consumers/third-party.ts'
import { typeConsumers } from './consumers/types.ts'
import { mixedVersions } from './consumers/versions.ts'
import { type DeliveryFigures, measureDeliveries } from './delivery.ts'
import { Pages } from './pages.ts'
import { startRegistry } from './registry.ts'
import { ReleaseFolder, type Versions } from './release.ts'

const root = join(import.meta.dirname, '../../..')
const program = new Command('rehearse')
  .description(
    'Publishes every package to a registry on loopback, bumps one by a changeset, publishes again, and installs what was published into projects made from nothing. Needs Chromium, and the npm registry for what the projects use beside Tessera.',
  )
  .option('--only <text>', 'only consumers whose names contain this')
  .option(
    '--rounds <number>',
    'how often each page is opened to compare loading with peers; 0 leaves that out',
    Number,
    5,
  )
  .option('--keep', 'keep the projects, for a look at what failed')
  .option('--json <file>', 'write the results there')
  .parse()
const { only, rounds, keep, json } = program.opts<{ only?: string; rounds: number; keep?: boolean; json?: string }>()

interface Result {
  readonly name: string
  readonly passed: boolean
  readonly seconds: number
  readonly seen: string
}

const results: Result[] = []
let deliveries: readonly DeliveryFigures[] | undefined

async function record<Value>(name: string, work: () => Promise<readonly [Value, string]>): Promise<Value | undefined> {
  const start = performance.now()
  const seconds = () => Math.round((performance.now() - start) / 100) / 10
  try {
    const [value, seen] = await work()
    results.push({ name, passed: true, seconds: seconds(), seen })
    console.error(`ok    ${name}: ${seen}`)
    return value
  } catch (error) {
    const seen = error instanceof Error ? error.message : String(error)
    results.push({ name, passed: false, seconds: seconds(), seen })
    console.error(`FAIL  ${name}: ${seen}`)
    return undefined
  }
}

function deliveryTable(figures: readonly DeliveryFigures[]): string {
  const table = new Table({
    head: ['', 'packages', 'installed, MB', 'loaded, kB with gzip', 'first result, ms: median (range)'],
    style: { head: [], border: [] },
  })
  for (const { name, packages, installedBytes, loadedBytes, milliseconds } of figures) {
    const [least, median, most] = [milliseconds[0]!, milliseconds[milliseconds.length >> 1]!, milliseconds.at(-1)!]
    table.push([
      name,
      packages,
      (installedBytes / 1e6).toFixed(1),
      (loadedBytes / 1e3).toFixed(0),
      `${median.toFixed(0)} (${least.toFixed(0)}–${most.toFixed(0)})`,
    ])
  }
  return table.toString()
}

const listed = (versions: Versions): string =>
  Object.entries(versions)
    .map(([name, version]) => `${name.replace('@tessera/', '')} ${version}`)
    .join(', ')

const folder = mkdtempSync(join(tmpdir(), 'tessera-rehearsal-'))
const registry = await startRegistry(join(folder, 'registry'))
const pages = await Pages.open()
try {
  const release = await ReleaseFolder.create(root, join(folder, 'workspace'), registry)
  const first = await record('first release', async () => {
    const versions = await release.publish()
    return [versions, listed(versions)]
  })
  const second = await record('second release, of one package', async () => {
    release.addChangeset('@tessera/nn', 'patch', 'A change that the rehearsal made up.')
    const versions = await release.publish()
    const changed = Object.keys(versions).filter((name) => versions[name] !== first?.[name])
    const log = release.changelog('@tessera/nn')
    if (!log.includes('A change that the rehearsal made up.')) throw new Error('the changelog does not tell the change')
    if (!changed.includes('@tessera/nn') || changed.includes('@tessera/core'))
      throw new Error(`the versions of ${changed.join(', ') || 'no package'} changed`)
    return [versions, `${changed.map((name) => `${name} ${versions[name]}`).join(', ')} changed`]
  })
  const consumers: readonly Consumer[] = [
    ...(first && second ? [mixedVersions(first, second)] : []),
    ...nodeConsumers,
    ...typeConsumers,
    ...bundlerConsumers,
    thirdParty,
  ]
  for (const [index, { name, check }] of consumers.entries()) {
    if (only && !name.toLowerCase().includes(only.toLowerCase())) continue
    const context = new ConsumerContext(join(folder, `consumer-${index}`), registry, pages)
    await record(name, async () => [undefined, await check(context)])
  }
  if (rounds > 0) {
    deliveries = await record('sizes and loading beside peers', async () => {
      const figures = await measureDeliveries(join(folder, 'deliveries'), registry, pages, rounds)
      return [figures, `${figures.length} pages, each opened ${rounds} times`]
    })
  }
} finally {
  registry.close()
  await pages.close()
  if (keep) console.error(`kept in ${folder}`)
  else rmSync(folder, { recursive: true, force: true })
}

const table = new Table({
  head: ['', 'what', 'seconds', 'seen'],
  style: { head: [], border: [] },
  wordWrap: true,
  colWidths: [6, 34, 9, 90],
})
for (const { name, passed, seconds, seen } of results)
  table.push([passed ? 'ok' : 'FAIL', name, seconds, seen.split('\n')[0]!.slice(0, 300)])
console.log(table.toString())
const failed = results.filter(({ passed }) => !passed).length
console.log(`${results.length - failed} passed, ${failed} failed`)
if (deliveries) console.log(deliveryTable(deliveries))
if (json) writeFileSync(json, `${JSON.stringify({ results, deliveries }, undefined, 2)}\n`)
process.exitCode = failed > 0 ? 1 : 0
