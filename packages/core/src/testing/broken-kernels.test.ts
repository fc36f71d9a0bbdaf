import { describe, expect, it } from 'vitest'
import type { FusedInstruction, OpName } from '../graph/operations.ts'
import { rowMajorView, viewBounds } from '../graph/view.ts'
import type { Kernel, ReferenceKernelProgram } from '../plugin/contract.ts'
import { referenceBackend } from '../run/reference/backend.ts'
import { referenceKernels } from '../run/reference/kernels.ts'
import type { OpCall, Operand } from '../schedule/program.ts'
import { collectTests, failuresOf } from './collect.ts'
import { testBackend } from './test-backend.ts'

type Build = (call: OpCall, build: (call: OpCall) => ReferenceKernelProgram) => ReferenceKernelProgram

/** The reference kernels, with the one of an op built in another way. */
function breakKernel(op: OpName, build: Build): Kernel[] {
  return referenceKernels.map((kernel) =>
    kernel.op !== op
      ? kernel
      : {
          ...kernel,
          build: (call, limits) => build(call, (changed) => kernel.build(changed, limits) as ReferenceKernelProgram),
        },
  )
}

/** The names of the tests that fail, among those of one group. */
async function failing(kernels: readonly Kernel[], group: string): Promise<string[]> {
  const tests = collectTests((run) => testBackend({ backend: referenceBackend, kernels, run }))
  const chosen = tests.filter(({ name }) => name.includes(`> ${group} >`))
  expect(chosen.length).toBeGreaterThan(0)
  return [...(await failuresOf(chosen)).keys()].map((name) => name.split(' > ').at(-1)!)
}

/** A fused kernel that computes some instructions as others. */
const replacing = (change: (instruction: FusedInstruction) => FusedInstruction): Kernel[] =>
  breakKernel('fused', (call, build) => {
    const body = (call as OpCall<'fused'>).attributes
    return build({ ...call, attributes: { ...body, instructions: body.instructions.map(change) } })
  })
/** Runs the kernel, then spoils what it wrote. */
const spoiling = (op: OpName, spoil: (call: OpCall, ...arrays: Parameters<ReferenceKernelProgram>) => void): Kernel[] =>
  breakKernel(op, (call, build) => {
    const run = build(call)
    return (inputs, outputs) => {
      run(inputs, outputs)
      spoil(call, inputs, outputs)
    }
  })
const withRowMajor = (operand: Operand): Operand => ({
  ...operand,
  view: { ...rowMajorView(operand.view.shape), offset: operand.view.offset },
})

describe('a suite fails for kernels that', () => {
  it('round halves up', async () => {
    const kernels = replacing((instruction) =>
      instruction.kind === 'compute' && instruction.op === 'round' ? { ...instruction, op: 'ceil' } : instruction,
    )
    expect(await failing(kernels, 'elementwise ops of f32')).toEqual([
      'round of random operands',
      'round of special operands',
    ])
  })

  it('confuse less with lessEqual', async () => {
    const kernels = replacing((instruction) =>
      instruction.kind === 'compute' && instruction.op === 'less' ? { ...instruction, op: 'lessEqual' } : instruction,
    )
    expect(await failing(kernels, 'elementwise ops of f32')).toEqual(['less of special operands'])
    expect(await failing(kernels, 'elementwise ops of i32')).toEqual(['less of random and special operands'])
  })

  it('compare unsigned integers as signed ones', async () => {
    const kernels = breakKernel('fused', (call, build) => {
      const asSigned = (operand: Operand): Operand => (operand.dtype === 'u32' ? { ...operand, dtype: 'i32' } : operand)
      const run = build({ ...call, inputs: call.inputs.map(asSigned) })
      return (inputs, outputs) =>
        run(
          inputs.map((array) =>
            array instanceof Uint32Array ? new Int32Array(array.buffer, array.byteOffset, array.length) : array,
          ),
          outputs,
        )
    })
    const names = await failing(kernels, 'elementwise ops of u32')
    expect(names).toEqual(
      expect.arrayContaining([
        'less of random and special operands',
        'maximum of random and special operands',
        'divide of random and special operands',
      ]),
    )
    expect(names).not.toContain('add of random and special operands')
  })

  it('drop NaN from reductions', async () => {
    const kernels = spoiling('fused', (_, __, outputs) => {
      for (const output of outputs) for (let i = 0; i < output.length; i++) if (Number.isNaN(output[i])) output[i] = 0
    })
    expect(await failing(kernels, 'row bodies')).toEqual(['NaN and infinities reach the reductions of their row only'])
    expect(await failing(kernels, 'column bodies')).toEqual(['carry NaN through extremes and sums'])
    expect(await failing(kernels, 'elementwise ops of f32')).toEqual(
      expect.arrayContaining(['squareRoot of special operands', 'maximum of special operands']),
    )
  })

  it('leave out what does not fill a vector', async () => {
    const kernels = spoiling('fused', (call, _, outputs) => {
      call.outputs.forEach(({ view }, i) => {
        const last = viewBounds(view)?.last
        if (last !== undefined && (last - view.offset) % 4 !== 3) outputs[i]![last] = 0.015625
      })
    })
    expect(await failing(kernels, 'elementwise ops of f32')).toEqual(
      expect.arrayContaining(['add of random operands', 'exp of random operands']),
    )
    expect(await failing(kernels, 'map bodies')).toEqual(
      expect.arrayContaining(['chain elementwise ops: GELU, and its square as a second output']),
    )
  })

  it('write one element beyond their view', async () => {
    const kernels = spoiling('fused', (call, _, outputs) => {
      call.outputs.forEach(({ view }, i) => {
        const last = viewBounds(view)?.last
        if (last !== undefined && last + 1 < outputs[i]!.length) outputs[i]![last + 1] = 1
      })
    })
    expect(await failing(kernels, 'views')).toEqual(
      expect.arrayContaining([
        'outputs side by side in one buffer, as a concatenation stores them',
        'loads and stores of f32 at every small offset',
      ]),
    )
    expect(await failing(kernels, 'row bodies')).toEqual([])
  })

  it('change an input', async () => {
    const kernels = spoiling('matmul', (_, inputs) => {
      if (inputs[0]!.length > 0) inputs[0]![0] = 0
    })
    expect(await failing(kernels, 'matmul')).toContain('3 × 5 × 7, either operand as it is or transposed')
  })

  it('take every matrix for row-major', async () => {
    const names = await failing(
      breakKernel('matmul', (call, build) => build({ ...call, inputs: call.inputs.map(withRowMajor) })),
      'matmul',
    )
    expect(names).toEqual(
      expect.arrayContaining([
        '3 × 5 × 7, either operand as it is or transposed',
        'heads that lie side by side: batches inside the rows',
      ]),
    )
    // One row or column lies the same either way.
    expect(names).not.toContain('1 × 17 × 1, either operand as it is or transposed')
  })

  it('round products to less than they state', async () => {
    const kernels = spoiling('matmul', (_, __, [output]) => {
      output!.set(output!.map((value) => value * (1 + 2e-5 * Math.sin(1e6 * value))))
    })
    expect(await failing(kernels, 'matmul')).toContain('64 × 64 × 64, either operand as it is or transposed')
  })

  it('add up products in the order of an f16 accumulator', async () => {
    const kernels = spoiling('matmul', (_, __, [output]) => {
      output!.set(output!.map((value) => Math.round(value * 512) / 512))
    })
    expect((await failing(kernels, 'matmul')).length).toBeGreaterThan(10)
  })

  it('lose updates of one position, or let the first one stay', async () => {
    const unique = breakKernel('scatter', (call, build) => {
      const run = build(call)
      return ([base, indices, updates], outputs) => {
        // All but the first of equal indices are sent out of range.
        const unique = indices!.map((index, i) => (indices!.indexOf(index) < i ? -1 : index))
        run([base!, unique, updates!], outputs)
      }
    })
    expect(await failing(unique, 'scatter')).toContain(
      'many updates of one position: all are added, or the last one stays',
    )
  })

  it('wrap negative indices around', async () => {
    const wrapping = breakKernel('gather', (call, build) => {
      const run = build(call)
      const { axis } = (call as OpCall<'gather'>).attributes
      const extent = call.inputs[0]!.view.shape[axis]!
      return ([source, indices], outputs) =>
        run([source!, indices!.map((index) => (index < 0 ? index + extent : index))], outputs)
    })
    expect(await failing(wrapping, 'gather')).toContain('axis 0 of [7, 5] by [11], indices clamped')
  })

  it('copy the base of an in-place scatter over itself, emptied', async () => {
    const clearing = breakKernel('scatter', (call, build) => {
      const run = build(call)
      return (inputs, outputs) => {
        const base = inputs[0]!.slice()
        outputs[0]!.fill(0)
        run(inputs[0]!.buffer === outputs[0]!.buffer ? inputs : [base, ...inputs.slice(1)], outputs)
      }
    })
    const names = await failing(clearing, 'scatter')
    expect(names).toEqual(
      expect.arrayContaining(['add in place: into a temporary, and into memory taken over from an input']),
    )
    expect(names.filter((name) => name.startsWith('add at'))).toEqual([])
  })

  it('do not take a call at all', async () => {
    const tests = collectTests((run) =>
      testBackend({ backend: referenceBackend, kernels: referenceKernels.filter(({ op }) => op !== 'gather'), run }),
    )
    const failures = await failuresOf(tests.filter(({ name }) => name.includes('> gather >')))
    expect([...failures.values()][0]).toMatch(/No kernel of backend 'reference' takes call 0 \(gather\).*\(seed 1\)/s)
  })
})

it('capabilities leave out what a device does not have', () => {
  const names = (capabilities: Parameters<typeof testBackend>[0]['capabilities'] & {}): string[] =>
    collectTests((run) => testBackend({ backend: referenceBackend, kernels: referenceKernels, run, capabilities })).map(
      ({ name }) => name,
    )
  expect(names({ nonFinite: false }).filter((name) => /NaN/.test(name))).toEqual([])
  expect(names({}).filter((name) => /NaN/.test(name)).length).toBe(3)
  expect(names({ formats: ['f32', 'f16'] }).filter((name) => /u32 to|of i32/.test(name))).toEqual([])
})
