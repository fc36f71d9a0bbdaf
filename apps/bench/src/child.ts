/** Entry of a child process: `node child.ts NAME VARIANT THREADS` serves one implementation on standard input and output. */
import { Console } from 'node:console'
import { serve } from './harness/serve.ts'
import { createImplementation } from './implementations/create.ts'

// Standard output belongs to the protocol; whatever a library logs goes to standard error.
globalThis.console = new Console(process.stderr)

const [name, variant, threads] = process.argv.slice(2)
const implementation = await createImplementation(name!, { variant: variant!, threads: Number(threads) })
await serve(implementation, process.stdin, process.stdout)
// Worker pools of the libraries keep a process alive.
process.exit(0)
