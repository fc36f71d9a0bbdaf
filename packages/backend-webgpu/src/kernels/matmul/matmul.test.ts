import type { Kernel, OpCall } from '@tessera/core'
import { type KernelTestCall, type ProgramBuilder, randomStorage, testKernel } from '@tessera/core/testing'
import { describe, it } from 'vitest'
import { softwareAdapters } from '../../testing/adapters.ts'
import { matmulKernel } from './matmul.ts'
import { planRegisterTiles } from './registers.ts'
import { planSharedTiles } from './shared.ts'

const product = (name: string, m: number, k: number, n: number): KernelTestCall => ({
  name: `${name}, ${m} × ${k} × ${n}`,
  scale: Math.sqrt(k),
  write: (program: ProgramBuilder, random) => {
    const [a, b] = [program.input('f32', [m, k]), program.input('f32', [k, n])]
    program.call('matmul', {}, [a, b], [program.output('f32', [m, n])])
    return [randomStorage(random, 'f32', m * k), randomStorage(random, 'f32', k * n)]
  },
})

const calls = [product('odd', 5, 7, 9), product('beyond a tile', 70, 36, 132), product('shared depth', 4, 1100, 8)]

/** The two ways to multiply, whichever the kernel would take here. */
const kernels: readonly Kernel<'matmul', 'webgpu'>[] = [
  {
    ...matmulKernel,
    name: 'registers',
    build:
      (call) =>
      (...where) =>
        planRegisterTiles(call, ...where),
  },
  {
    ...matmulKernel,
    name: 'shared',
    build:
      (call: OpCall<'matmul'>) =>
      (...where) =>
        planSharedTiles(call, ...where),
  },
]

for (const { name, backend, isExpected } of softwareAdapters) {
  if (!isExpected) continue
  describe(name, () => {
    for (const kernel of kernels) {
      // Barriers are slow to compile: one shape in every layout.
      const isChosen = (test: string): boolean =>
        kernel.name !== 'shared' || !test.includes('in every layout') || test.startsWith('odd')
      const run = {
        describe,
        it: (test: string, body: () => Promise<void>) => (isChosen(test) ? it(test, body) : undefined),
      }
      testKernel({ kernel, backend, calls, run })
    }
  })
}
