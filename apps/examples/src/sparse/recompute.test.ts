import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { makeProgram } from '../program.ts'
import { compareRecompute } from './recompute.ts'

const sizes = { width: 32, heads: 2, length: 96, stride: 16, vocabularySize: 16, dropout: 0.1, rounds: 0 }

describe('recomputation', () => {
  it('gives the same gradients but for the order of sums where ops are fused', async () => {
    const { largestDifference } = await compareRecompute({ ...sizes, layers: 2, fuse: true })
    expect(largestDifference).toBeLessThan(2e-6)
  })

  it('takes less memory by the factor that theory gives, with 32 layers', async () => {
    const { kept, recomputed, theory } = await compareRecompute({ ...sizes, layers: 32, fuse: true })
    expect(theory).toBeCloseTo(10.96, 1)
    expect(Math.abs(kept / recomputed / theory - 1)).toBeLessThan(0.15)
  })

  it('is a command', async () => {
    const json = join(tmpdir(), `tessera-recompute-${process.pid}.json`)
    const small = [
      '--layers',
      '1,2',
      '--width',
      '8',
      '--length',
      '32',
      '--stride',
      '8',
      '--rounds',
      '1',
      '--json',
      json,
    ]
    await makeProgram().parseAsync(['node', 'tessera-examples', 'recompute', ...small])
    const { rows } = JSON.parse(await readFile(json, 'utf8'))
    await rm(json)
    expect(rows.map(({ layers }: { layers: number }) => layers)).toEqual([1, 2])
    expect(rows[1].keptMilliseconds).toBeGreaterThan(0)
    await expect(
      makeProgram().parseAsync(['node', 'tessera-examples', 'recompute', '--layers', 'many']),
    ).rejects.toThrow('--layers takes whole numbers from 1 up')
  })
})
