import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { Implementation, PreparedCase } from '../implementations/implementation.ts'
import { measure } from './measure.ts'
import { encodeValues, type Method, type Methods, type Request, type Response } from './protocol.ts'

/** Answers the requests on `input` with `implementation`, one at a time, until `input` ends. */
export async function serve(implementation: Implementation, input: Readable, output: Writable): Promise<void> {
  const handlers = createHandlers(implementation)
  for await (const line of createInterface({ input })) {
    const request = JSON.parse(line) as Request
    output.write(`${JSON.stringify(await answer(handlers, request))}\n`)
  }
}

type Handlers = { [Name in Method]: (parameters: Methods[Name]['parameters']) => Promise<Methods[Name]['result']> }

async function answer(handlers: Handlers, { id, method, parameters }: Request): Promise<Response> {
  try {
    const handler = handlers[method] as (parameters: Request['parameters']) => Promise<Methods[Method]['result']>
    return { id, result: await handler(parameters) }
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) }
  }
}

function createHandlers(implementation: Implementation): Handlers {
  let current: PreparedCase | undefined
  const prepared = (): PreparedCase => {
    if (!current) throw new Error(`${implementation.name}: no case is prepared; send "prepare" first`)
    return current
  }
  const release = async (): Promise<Record<never, never>> => {
    const released = current
    current = undefined
    await released?.dispose?.()
    return {}
  }
  return {
    async describe() {
      const unavailable = await implementation.available()
      const { name, version } = implementation
      return unavailable === undefined ? { name, version } : { name, version: '', unavailable }
    },
    async prepare({ case: benchmarkCase }) {
      await release()
      current = await implementation.prepare(benchmarkCase)
      return { prepared: current !== undefined }
    },
    async output({ indices }) {
      const values = await prepared().output()
      return { values: encodeValues(indices ? Float32Array.from(indices, (index) => values[index]!) : values) }
    },
    measure: async (options) => ({ samplesMs: await measure(prepared(), options) }),
    release,
  }
}
