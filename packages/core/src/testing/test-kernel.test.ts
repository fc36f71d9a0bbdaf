import { describe, expect, it } from 'vitest'
import { isRowMajor } from '../graph/view.ts'
import type { Kernel, ReferenceKernelProgram } from '../plugin/contract.ts'
import { referenceBackend } from '../run/reference/backend.ts'
import { referenceKernels } from '../run/reference/kernels.ts'
import { collectTests, failuresOf } from './collect.ts'
import { randomStorage } from './random.ts'
import { type KernelTestCall, testKernel } from './test-kernel.ts'

const kernelOf = (op: string): Kernel<'matmul', 'reference'> =>
  referenceKernels.find((kernel) => kernel.op === op) as Kernel<'matmul', 'reference'>
const product = (m: number, k: number, n: number): KernelTestCall => ({
  name: `${m} × ${k} × ${n}`,
  scale: Math.sqrt(k),
  write: (program, random) => {
    const [a, b] = [program.input('f32', [m, k]), program.input('f32', [k, n])]
    program.call('matmul', {}, [a, b], [program.output('f32', [m, n])])
    return [randomStorage(random, 'f32', m * k), randomStorage(random, 'f32', k * n)]
  },
})

testKernel({
  kernel: kernelOf('matmul'),
  backend: referenceBackend,
  run: { describe, it },
  calls: [product(3, 5, 7), product(1, 1, 1), product(0, 2, 3)],
})
testKernel({
  kernel: referenceKernels.find((kernel) => kernel.op === 'fused') as Kernel<'fused', 'reference'>,
  backend: referenceBackend,
  run: { describe, it },
  calls: [
    {
      name: 'softmax',
      amplification: 4,
      write: (program, random) => {
        const [x, y] = [program.input('f32', [4, 9]), program.output('f32', [4, 9])]
        program.row([4, 9], 1, (body) => {
          const e = body.compute('exp', body.load(x))
          body.store(y, body.compute('divide', e, body.reduce('reduceSum', e)))
        })
        return [randomStorage(random, 'f32', 36)]
      },
    },
  ],
})

/** The tests that fail for a kernel, without the kernel's name. */
async function failing(
  change: Partial<Kernel<'matmul', 'reference'>>,
  refuses: KernelTestCall[] = [],
): Promise<Map<string, string>> {
  const kernel = { ...kernelOf('matmul'), ...change }
  const tests = collectTests((run) =>
    testKernel({ kernel, backend: referenceBackend, run, calls: [product(3, 5, 7)], refuses }),
  )
  return new Map([...(await failuresOf(tests))].map(([name, message]) => [name.split(' > ').at(-1)!, message]))
}

describe('a kernel fails that', () => {
  it('is less accurate than it states', async () => {
    const build = (...[call, limits]: Parameters<Kernel<'matmul', 'reference'>['build']>): ReferenceKernelProgram => {
      const run = kernelOf('matmul').build(call, limits)
      return ([left, right], outputs) => run([left!.map((value, i) => value * (1 + (i % 2) * 2e-5)), right!], outputs)
    }
    expect((await failing({ build })).get('3 × 5 × 7')).toMatch(/relative RMS error|elements differ/)
    expect(await failing({ build, tolerance: 1e-4 })).toEqual(new Map())
  })

  it('takes layouts that it gets wrong, unless its cost refuses them', async () => {
    const build = (...[call, limits]: Parameters<Kernel<'matmul', 'reference'>['build']>): ReferenceKernelProgram => {
      const rowMajor = call.inputs.map((operand) => ({
        ...operand,
        view: { ...operand.view, strides: [operand.view.shape[1]!, 1] },
      }))
      return kernelOf('matmul').build({ ...call, inputs: rowMajor }, limits)
    }
    const failures = await failing({ build })
    expect([...failures.keys()]).toEqual(['3 × 5 × 7, in every layout that it takes'])
    expect(failures.get('3 × 5 × 7, in every layout that it takes')).toMatch(/input 0 every third element/)
    const cost: Kernel<'matmul', 'reference'>['cost'] = (call) =>
      call.inputs.every(({ view }) => isRowMajor(view)) ? 1 : undefined
    expect(await failing({ build, cost })).toEqual(new Map())
  })

  it('throws when it is asked about a call that it cannot run', async () => {
    const cost: Kernel<'matmul', 'reference'>['cost'] = (call) => {
      if (call.inputs.some(({ dtype }) => dtype === 'bool')) throw new Error('no such format')
      return 1
    }
    expect([...(await failing({ cost })).values()]).toEqual([
      expect.stringMatching(/operand 0 as bool': cost threw instead of refusing: no such format/),
    ])
  })

  it('states costs that are no times, or a tolerance that is none', async () => {
    expect((await failing({ cost: () => Number.NaN })).get('3 × 5 × 7')).toMatch(/cost is NaN/)
    expect((await failing({ cost: () => -1 })).size).toBe(3)
    expect([...(await failing({ tolerance: Number.NaN })).keys()]).toContain('states a tolerance')
  })

  it('refuses what it must take, or takes what it must refuse', async () => {
    expect((await failing({ cost: () => undefined })).get('3 × 5 × 7')).toMatch(/the kernel refuses this call/)
    expect((await failing({}, [product(2, 2, 2)])).get('refuses 2 × 2 × 2')).toMatch(
      /must refuse this call, it states a cost/,
    )
  })
})

it('ops of a package bring their reference kernel along', async () => {
  // A stand-in: `matmul` under test, compared with a reference that doubles its results.
  const reference: Kernel<'matmul', 'reference'> = {
    ...kernelOf('matmul'),
    build: (call, limits) => {
      const run = kernelOf('matmul').build(call, limits)
      return (inputs, outputs) => {
        run(inputs, outputs)
        outputs[0]!.forEach((value, i) => {
          outputs[0]![i] = 2 * value
        })
      }
    },
  }
  const tests = collectTests((run) =>
    testKernel({ kernel: kernelOf('matmul'), reference, backend: referenceBackend, run, calls: [product(2, 2, 2)] }),
  )
  expect([...(await failuresOf(tests)).values()][0]).toMatch(/4 of 4 elements/)
})
