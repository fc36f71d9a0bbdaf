import { type DType, isFloat, type TypedArray } from '../graph/format.ts'
import type { ElementwiseName } from '../graph/operations.ts'
import type { Device, Kernel } from '../plugin/contract.ts'
import type { Tolerance } from './assertions.ts'
import type { ProgramBuilder } from './programs.ts'
import { createRandom, type Random, seedFor } from './random.ts'
import { type Comparison, cheapestKernel, compareWithReference, selectKernels } from './run-program.ts'
import { spacing, toleranceOf } from './tolerances.ts'

/** The two functions of a test runner that suites need: those of vitest, jest, mocha or node:test. */
export interface TestRunner {
  describe(name: string, declare: () => void): unknown
  it(name: string, test: () => Promise<void>): unknown
}

/** What a device can do. A suite leaves out, by these statements only, what does not apply. */
export interface Capabilities {
  /** Formats that programs may load, compute and store. f32, i32, u32 and bool by default. */
  readonly formats: readonly DType[]
  /** Formats that `matmul` takes. Programs never ask for 16-bit ones where they are missing: products are widened. All floats by default. */
  readonly products: readonly DType[]
  /** NaN and infinities behave as IEEE 754 says. True by default. */
  readonly nonFinite: boolean
  /** Numbers below 2^-126 are kept, not flushed to zero. True by default. */
  readonly denormals: boolean
}

export const defaultCapabilities: Capabilities = {
  formats: ['f32', 'i32', 'u32', 'bool'],
  products: ['f32', 'f16', 'bf16', 'f64'],
  nonFinite: true,
  denormals: true,
}

/** What the suites of a backend share. */
export interface SuiteContext extends Capabilities {
  readonly kernels: readonly Kernel[]
  readonly device: () => Promise<Device>
  readonly tolerances: Partial<Record<ElementwiseName, Tolerance>>
  describe(name: string, declare: () => void): void
  /** A test with its own random numbers. A failure names the seed. */
  it(name: string, test: (random: Random) => Promise<void>): void
  /** True when the kernels take every call of the program. Only epilogues may be refused: such work then is a call of its own. */
  takes(program: ProgramBuilder): Promise<boolean>
  /** Runs the program here and on the reference backend. Outputs must agree within `comparison`. */
  check(
    label: string,
    program: ProgramBuilder,
    inputs: readonly TypedArray[],
    comparison: (dtype: DType, kernelTolerance: number) => Comparison,
  ): Promise<void>
}

/**
 * What outputs of one elementwise op are held to.
 * @param signedZero whether the sign of a zero counts
 */
export const elementwise =
  (context: SuiteContext, op: ElementwiseName, signedZero = false) =>
  (dtype: DType): Comparison => ({
    ...toleranceOf(op, dtype, context.tolerances),
    signedZero: signedZero && context.nonFinite,
  })

/** Outputs must agree to the bit (NaN with NaN). */
export const identical = (): Comparison => ({ relative: 0, absolute: 0 })

/**
 * What outputs of whole bodies and products are held to: the kernel's stated relative RMS error and the rounding to the
 * output's format.
 *
 * @param amplification how much the computation magnifies relative errors
 * @param scale size of the outputs; single elements may be off by 32 times the RMS error
 */
export const accumulated =
  (amplification = 1, scale = 1) =>
  (dtype: DType, kernelTolerance: number): Comparison => {
    if (!isFloat(dtype)) return identical()
    const rms = amplification * (kernelTolerance + spacing(dtype))
    return { rms, relative: 32 * rms, absolute: 32 * rms * scale }
  }

export interface ContextOptions {
  readonly kernels: readonly Kernel[]
  readonly device: () => Promise<Device>
  readonly run: TestRunner
  readonly seed: number
  readonly capabilities: Capabilities
  readonly tolerances: Partial<Record<ElementwiseName, Tolerance>>
}

export function createContext({ kernels, device, run, seed, capabilities, tolerances }: ContextOptions): SuiteContext {
  // Runners may call `declare` at once or later; each group knows the names around it from when it was declared.
  let path: readonly string[] = []
  return {
    ...capabilities,
    kernels,
    device,
    tolerances,
    describe(name, declare) {
      const own = [...path, name]
      run.describe(name, () => {
        const outer = path
        path = own
        declare()
        path = outer
      })
    },
    it(name, test) {
      const own = seedFor([...path, name].join(' '), seed)
      run.it(name, async () => {
        try {
          await test(createRandom(own))
        } catch (error) {
          throw new Error(`${error instanceof Error ? error.message : String(error)} (seed ${seed})`, { cause: error })
        }
      })
    },
    async takes(builder) {
      const { backend, limits } = await device()
      return builder.build().calls.every((call) => cheapestKernel(call, kernels, backend, limits) !== undefined)
    },
    async check(label, builder, inputs, comparison) {
      const open = await device()
      const program = builder.build(Math.max(256, open.limits.alignment))
      const { calls } = selectKernels(program, kernels, open.backend, open.limits)
      const kernelTolerance = Math.max(0, ...calls.map(({ kernel }) => kernel.tolerance))
      await compareWithReference(open, kernels, program, inputs, (dtype) => comparison(dtype, kernelTolerance), label)
    },
  }
}
