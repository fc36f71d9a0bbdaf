import { ModuleBuilder } from '../../assembler/index.ts'
import type { Variant } from '../../variant.ts'
import { matmulDescriptorBytes } from './descriptor.ts'
import { matmulFunctions } from './matmul.ts'
import type { MatmulCall, MatmulPlan } from './plan.ts'
import { planMatmul } from './plan.ts'
import type { MatmulTuning } from './tuning.ts'

/** The matrix product in a module of its own, for tests and benchmarks. */
export interface MatmulInstance {
  readonly tuning: MatmulTuning
  readonly memory: WebAssembly.Memory
  /** The memory as floats. */
  readonly floats: Float32Array
  plan(call: MatmulCall): MatmulPlan
  /** Writes a plan's descriptor to address 0; operands must start after `reserved` bytes. */
  load(plan: MatmulPlan): void
  /** Runs the loaded plan; addresses in bytes. With `addend`, the plan must have one. */
  run(
    addresses: { a: number; b: number; c: number; scratch: number; addend?: number },
    thread: number,
    threads: number,
  ): void
}

/** Bytes at the start of the memory that hold the descriptor. */
export const reserved = Math.ceil(matmulDescriptorBytes / 64) * 64

/** Compiles and instantiates the product with a memory of at least `bytes` bytes. */
export function instantiateMatmul(variant: Variant, bytes: number, tuning?: MatmulTuning): MatmulInstance {
  const module = new ModuleBuilder()
  module.importMemory('env', 'memory', { minimum: 1 })
  const functions = matmulFunctions(module, variant, tuning)
  module.export(functions.matmul)
  module.export(functions.matmulAdd)
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) })
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.toBytes()), { env: { memory } })
  const { matmul, matmulAdd } = instance.exports as Record<string, (...values: number[]) => void>
  return {
    tuning: functions.tuning,
    memory,
    floats: new Float32Array(memory.buffer),
    plan: (call) => planMatmul(call, functions.tuning),
    load: (plan) => new Int32Array(memory.buffer).set(plan.descriptor),
    run: ({ a, b, c, scratch, addend }, thread, threads) => {
      if (addend === undefined) matmul?.(0, a, b, c, scratch, thread, threads)
      else matmulAdd?.(0, a, b, c, scratch, thread, threads, addend)
    },
  }
}
