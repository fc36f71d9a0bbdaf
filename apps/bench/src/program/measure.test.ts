import { expect, it } from 'vitest'
import { gptStepFamily } from '../cases/gpt-step.ts'
import { matmulFamily } from '../cases/matmul.ts'
import { registry } from '../implementations/registry.ts'
import { measureProgram, renderProgramFigures } from './measure.ts'

it('measures the training steps among the cases with Tessera’s variants', { timeout: 120_000 }, async () => {
  const figures = await measureProgram({
    cases: [matmulFamily.cases[0]!, gptStepFamily.cases[0]!],
    entries: registry.filter(({ variant }) => variant === 'relaxed' || variant === 'native'),
    threads: 1,
    steps: 100,
    progress: () => undefined,
  })
  expect(figures).toHaveLength(1)
  const [first] = figures
  expect(first).toMatchObject({ case: 'gpt-step/nanogpt-cpu', variant: 'relaxed', threads: 1, steps: 100 })
  expect(first!.plannedBytes).toBeGreaterThanOrEqual(first!.liveBytes)
  expect(first!.plannedBytes / first!.liveBytes).toBeLessThan(1.2)
  expect(first!.deviceBytes[1]).toBe(first!.deviceBytes[0])
  expect(renderProgramFigures(figures)).toMatch(/planned \/ live\s*│\s*1\.\d{3}/)
})
