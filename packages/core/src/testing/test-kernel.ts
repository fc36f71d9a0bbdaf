import { coreFormats, type TypedArray } from '../graph/format.ts'
import type { OpName } from '../graph/operations.ts'
import type { Backend, BackendName, Device, Kernel } from '../plugin/contract.ts'
import { referenceKernels } from '../run/reference/kernels.ts'
import type { OpCall, Operand, Program } from '../schedule/program.ts'
import { accumulated, type TestRunner } from './context.ts'
import { layoutVariants } from './layouts.ts'
import { ProgramBuilder } from './programs.ts'
import { createRandom, type Random, seedFor } from './random.ts'
import { compareWithReference } from './run-program.ts'

/** A call to test a kernel on. */
export interface KernelTestCall {
  readonly name: string
  /** Writes a program of this one call and gives the contents of its inputs. */
  readonly write: (program: ProgramBuilder, random: Random) => readonly TypedArray[]
  /** How much the computation magnifies relative errors; 1 by default. */
  readonly amplification?: number
  /** Size of the outputs; 1 by default. */
  readonly scale?: number
}

export interface KernelTestOptions<Op extends OpName = OpName, B extends BackendName = BackendName> {
  readonly kernel: Kernel<Op, B>
  readonly backend: Backend<B>
  /** Calls that the kernel must take and compute right. */
  readonly calls: readonly KernelTestCall[]
  /** Calls that it must refuse, by a cost of `undefined`. */
  readonly refuses?: readonly KernelTestCall[]
  /** A reference kernel of the op, unless it is `fused`, `matmul`, `gather` or `scatter`. */
  readonly reference?: Kernel<Op, 'reference'>
  readonly run: TestRunner
  readonly seed?: number
}

/**
 * Declares the tests of one kernel: it computes its calls as the reference does, within its stated tolerance; whatever
 * layout of the operands it takes, it gets right; and its `cost` refuses what it cannot run, by `undefined` and not by
 * throwing, whatever formats and extents it is asked for.
 *
 * @example
 * ```ts sketch
 * testKernel({
 *   kernel: packedMatmul,
 *   backend: wasmBackend,
 *   run: { describe, it },
 *   calls: [{
 *     name: '64 × 64 × 64',
 *     scale: 8,
 *     write: (program, random) => {
 *       const [a, b] = [program.input('f32', [64, 64]), program.input('f32', [64, 64])]
 *       program.call('matmul', {}, [a, b], [program.output('f32', [64, 64])])
 *       return [randomStorage(random, 'f32', 4096), randomStorage(random, 'f32', 4096)]
 *     },
 *   }],
 * })
 * ```
 */
export function testKernel<Op extends OpName, B extends BackendName>(options: KernelTestOptions<Op, B>): void {
  const { kernel, backend, calls, refuses = [], reference, run, seed = 1 } = options
  const tested = kernel
  const references = reference ? [reference, ...referenceKernels] : referenceKernels

  const withDevice = async (test: (device: Device) => Promise<void>): Promise<void> => {
    const device = await backend.open()
    if ('unavailable' in device) throw new Error(`Backend '${backend.name}' cannot run here: ${device.unavailable}`)
    try {
      await test(device)
    } catch (error) {
      throw new Error(`${error instanceof Error ? error.message : String(error)} (seed ${seed})`, { cause: error })
    } finally {
      await device.close()
    }
  }
  const written = (
    { name, write }: KernelTestCall,
    device: Device,
  ): { program: Program; inputs: readonly TypedArray[] } => {
    const builder = new ProgramBuilder()
    const inputs = write(builder, createRandom(seedFor(`${kernel.name} ${name}`, seed)))
    const program = builder.build(Math.max(256, device.limits.alignment))
    if (program.calls.length !== 1 || program.calls[0]!.op !== kernel.op) {
      throw new Error(
        `testKernel: '${name}' must write one call of ${kernel.op}, it wrote [${program.calls.map(({ op }) => op).join(', ')}].`,
      )
    }
    return { program, inputs }
  }

  run.describe(`kernel ${kernel.name}`, () => {
    run.it('states a tolerance', async () => {
      if (!(kernel.tolerance >= 0 && kernel.tolerance < 1))
        throw new Error(`tolerance is ${kernel.tolerance}; a relative RMS error is from 0 to 1.`)
    })
    for (const call of calls) {
      const comparison = (dtype: Operand['dtype']) =>
        accumulated(call.amplification, call.scale)(dtype, kernel.tolerance)
      const compare = (device: Device, program: Program, inputs: readonly TypedArray[], name: string): Promise<void> =>
        compareWithReference(device, [tested], program, inputs, comparison, name, references)

      run.it(call.name, () =>
        withDevice(async (device) => {
          const { program, inputs } = written(call, device)
          if (costOf(tested, program.calls[0]!, device, call.name) === undefined)
            throw new Error(`'${call.name}': the kernel refuses this call.`)
          await compare(device, program, inputs, call.name)
        }),
      )
      run.it(`${call.name}, in every layout that it takes`, () =>
        withDevice(async (device) => {
          const { program, inputs } = written(call, device)
          for (const variant of layoutVariants(program, inputs)) {
            const name = `${call.name}, ${variant.name}`
            if (costOf(tested, variant.program.calls[0]!, device, name) === undefined) continue
            await compare(device, variant.program, variant.inputs, name)
          }
        }),
      )
      run.it(`${call.name}, other formats and extents: a cost or a refusal`, () =>
        withDevice(async (device) => {
          const { program } = written(call, device)
          for (const { name, call: strange } of strangeCalls(program.calls[0]!))
            costOf(tested, strange, device, `${call.name}, ${name}`)
        }),
      )
    }
    for (const call of refuses) {
      run.it(`refuses ${call.name}`, () =>
        withDevice(async (device) => {
          const cost = costOf(tested, written(call, device).program.calls[0]!, device, call.name)
          if (cost !== undefined)
            throw new Error(`'${call.name}': the kernel must refuse this call, it states a cost of ${cost} µs.`)
        }),
      )
    }
  })
}

/** The kernel's cost, checked: `undefined`, or a number that is not negative. */
function costOf(kernel: Kernel, call: OpCall, device: Device, name: string): number | undefined {
  let cost: number | undefined
  try {
    cost = kernel.cost(call, device.limits)
  } catch (error) {
    throw new Error(
      `'${name}': cost threw instead of refusing: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    )
  }
  if (cost !== undefined && !(cost >= 0 && cost < Number.POSITIVE_INFINITY))
    throw new Error(`'${name}': cost is ${cost}.`)
  return cost
}

/** The call with one operand of another format, or without elements: calls that a kernel may be asked about. */
function strangeCalls(call: OpCall): { name: string; call: OpCall }[] {
  const operands = [...call.inputs, ...call.outputs]
  return operands.flatMap((operand, i) => {
    const replace = (change: Partial<Operand>): OpCall => {
      const pick = (other: Operand): Operand => (other === operand ? { ...other, ...change } : other)
      return { ...call, inputs: call.inputs.map(pick), outputs: call.outputs.map(pick) }
    }
    const { view } = operand
    return [
      ...coreFormats.map(({ name }) => ({ name: `operand ${i} as ${name}`, call: replace({ dtype: name }) })),
      { name: `operand ${i} without elements`, call: replace({ view: { ...view, shape: view.shape.map(() => 0) } }) },
    ]
  })
}
