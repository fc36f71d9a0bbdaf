/** Entry of a child process: `node counting-child.ts NAME CASE` runs a case and prints what one run asks of WebGPU as JSON. */
import { Console } from 'node:console'
import { benchmarkCases } from '../cases/index.ts'
import { createImplementation } from '../implementations/create.ts'
import { installDawn } from '../implementations/dawn.ts'
import { countWebGpu } from './counters.ts'

/** Runs before the one that counts: libraries compile, and fill their caches. */
const runsBefore = 3

globalThis.console = new Console(process.stderr)
const [name, caseName] = process.argv.slice(2)
// An adapter that computes nothing: what is asked of it is the same, and no driver is needed.
installDawn(['backend=null'])
const taken = countWebGpu()
const implementation = await createImplementation(name!, { variant: 'webgpu', threads: 1 })
const reason = await implementation.available()
const prepared =
  reason === undefined && (await implementation.prepare(benchmarkCases.find((each) => each.name === caseName)!))
if (prepared) {
  const run = async (): Promise<void> => {
    await prepared.run()
    await prepared.settle?.()
  }
  for (let i = 0; i < runsBefore; i++) await run()
  taken()
  await run()
}
process.stdout.write(`${JSON.stringify(prepared ? { use: taken() } : { reason: reason ?? 'cannot do this case' })}\n`)
process.exit(0)
