import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import { matmulFamily } from '../cases/matmul.ts'
import type { Implementation } from '../implementations/implementation.ts'
import { decodeValues } from './protocol.ts'
import { serve } from './serve.ts'

/** Sends the requests, ends the input and gives the answers. */
async function converse(
  implementation: Implementation,
  requests: readonly object[],
): Promise<Record<string, unknown>[]> {
  const input = new PassThrough()
  const output = new PassThrough()
  for (const [index, request] of requests.entries()) input.write(`${JSON.stringify({ id: index + 1, ...request })}\n`)
  input.end()
  await serve(implementation, input, output)
  const lines = (output.read() as Buffer).toString().trim().split('\n')
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

function fake(): Implementation & { disposed: number } {
  const implementation = {
    name: 'fake',
    version: '1.0',
    disposed: 0,
    available: async () => undefined,
    prepare: async ({ kind }: { kind: string }) =>
      kind === 'matmul'
        ? {
            run: () => undefined,
            output: async () => Float32Array.of(0.5, Number.NaN, -0, 3),
            dispose: () => {
              implementation.disposed++
            },
          }
        : undefined,
  }
  return implementation
}

const benchmarkCase = matmulFamily.cases[0]!
const prepare = { method: 'prepare', parameters: { case: benchmarkCase } }

it('answers in order, each with the number of its request', async () => {
  const answers = await converse(fake(), [
    { method: 'describe', parameters: {} },
    prepare,
    { method: 'measure', parameters: { warmUpMs: 0, sampleMs: 0.01, samples: 3, turnMs: 1000 } },
  ])
  expect(answers[0]).toEqual({ id: 1, result: { name: 'fake', version: '1.0' } })
  expect(answers[1]).toEqual({ id: 2, result: { prepared: true } })
  expect(answers[2]).toMatchObject({
    id: 3,
    result: { samplesMs: [expect.any(Number), expect.any(Number), expect.any(Number)] },
  })
})

it('carries every float, NaN and −0 included, at all or at chosen positions', async () => {
  const answers = await converse(fake(), [
    prepare,
    { method: 'output', parameters: { indices: null } },
    { method: 'output', parameters: { indices: [3, 1] } },
  ])
  const values = answers.slice(1).map(({ result }) => [...decodeValues((result as { values: string }).values)])
  expect(values).toEqual([
    [0.5, Number.NaN, -0, 3],
    [3, Number.NaN],
  ])
})

it('releases a case before the next one and when asked', async () => {
  const implementation = fake()
  await converse(implementation, [
    prepare,
    prepare,
    { method: 'release', parameters: {} },
    { method: 'release', parameters: {} },
  ])
  expect(implementation.disposed).toBe(2)
})

it('says what it cannot do, and goes on', async () => {
  const answers = await converse(fake(), [
    { method: 'output', parameters: { indices: null } },
    { method: 'prepare', parameters: { case: { kind: 'gpt-step' } } },
  ])
  expect(answers).toEqual([
    { id: 1, error: expect.stringContaining('no case is prepared') },
    { id: 2, result: { prepared: false } },
  ])
})
