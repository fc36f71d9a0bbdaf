import { TesseraError } from '@tessera/core'
import { describe, expect, it } from 'vitest'
import { fuzz, judge } from './run.ts'
import type { FuzzTarget } from './target.ts'
import { targets } from './targets.ts'

describe('parsers of untrusted files', () => {
  for (const target of targets) {
    it(`${target.name}: gives a value or a TesseraError for damaged files`, async () => {
      const { finding } = await fuzz(target, { cases: 1500, seconds: 4, seed: 1 })
      expect(
        finding && `${finding.problem} for ${Buffer.from(finding.input).toString('base64').slice(0, 2000)}`,
      ).toBeUndefined()
    })
  }
})

describe('the fuzzer', () => {
  const target = (parse: FuzzTarget['parse']): FuzzTarget => ({
    name: 'example',
    seeds: () => [new TextEncoder().encode('{"length": 12}')],
    parse,
  })

  it('finds a crash that takes a number no author thought of', async () => {
    const reader = target((bytes) => {
      const digits = /"length": (\d+)/.exec(new TextDecoder().decode(bytes))?.[1]
      return digits === undefined ? undefined : new Uint8Array(Number(digits) > 2 ** 40 ? -1 : 1)
    })
    const { finding, cases } = await fuzz(reader, { cases: 5000, seconds: 20, seed: 1 })
    expect(finding?.problem).toMatch(/RangeError/)
    const again = await fuzz(reader, { cases: 5000, seconds: 20, seed: 1 })
    expect([again.cases, again.finding?.input]).toEqual([cases, finding?.input])
  })

  it('takes values and TesseraErrors for right, and long messages for wrong', async () => {
    const bytes = new Uint8Array(1)
    expect(
      await judge(
        target(() => 1),
        bytes,
      ),
    ).toBeUndefined()
    const throwing = (message: string) =>
      target(() => {
        throw new TesseraError('EXAMPLE', message)
      })
    expect(await judge(throwing('short'), bytes)).toBeUndefined()
    expect(await judge(throwing('x'.repeat(5000)), bytes)).toMatch(/5000 characters/)
  })
})
