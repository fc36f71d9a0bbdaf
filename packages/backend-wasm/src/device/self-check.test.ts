import { describe, expect, it } from 'vitest'
import { wasmKernels } from '../kernels/index.ts'
import { knownAnswers } from './known-answers.ts'
import { Machine } from './machine.ts'
import { checkWide } from './self-check.ts'

const machine = () => new Machine('relaxed', { shared: false, threads: 1 })

describe('checkWide', () => {
  it('finds nothing wrong with 128-bit code, and frees its memory', async () => {
    const used = machine()
    expect(await checkWide(used, wasmKernels)).toBeUndefined()
    expect(used.memory.usedBytes).toBe(0)
  })

  it('names the kernels whose answer is not the known one', async () => {
    const answers = knownAnswers().map((answer) =>
      answer.name === 'rows' ? { ...answer, expected: answer.expected.map((value) => value * 1.001) } : answer,
    )
    expect(await checkWide(machine(), wasmKernels, answers)).toBe('rows')
  })
})
