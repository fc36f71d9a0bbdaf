/** Feeds damaged files to the parsers: `npm run fuzz -- --help`. */
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { fuzz } from './run.ts'
import { targets } from './targets.ts'

const count = (text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It must be an integer ≥ 1.')
  return value
}

const program = new Command('fuzz')
  .description(
    'Feeds damaged copies of valid files to every parser of untrusted input, and keeps what one takes wrongly.',
  )
  .argument('[target...]', `some of: ${targets.map(({ name }) => name).join(', ')}`)
  .option('--cases <count>', 'most inputs for each target', count, 100_000)
  .option('--seconds <count>', 'longest time for each target', count, 20)
  .option('--seed <number>', 'the same seed gives the same inputs', count, 1)
  .option('--findings <folder>', 'where inputs are kept', 'findings')
  .parse()
const { cases, seconds, seed, findings } = program.opts<
  Record<'cases' | 'seconds' | 'seed', number> & { findings: string }
>()
const unknown = program.args.find((name) => !targets.some((target) => target.name === name))
if (unknown) program.error(`there is no target '${unknown}': choose from ${targets.map(({ name }) => name).join(', ')}`)

for (const target of targets) {
  if (program.args.length > 0 && !program.args.includes(target.name)) continue
  const start = performance.now()
  const result = await fuzz(target, { cases, seconds, seed })
  const time = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${result.finding ? 'FAIL' : 'ok  '} ${target.name.padEnd(22)} ${result.cases} cases in ${time} s`)
  if (!result.finding) continue
  process.exitCode = 1
  const name = `${target.name}-${createHash('sha256').update(result.finding.input).digest('hex').slice(0, 12)}.bin`
  mkdirSync(findings, { recursive: true })
  writeFileSync(join(findings, name), result.finding.input)
  console.log(`     ${result.finding.problem.replaceAll('\n', '\n     ')}\n     kept as ${join(findings, name)}`)
}
