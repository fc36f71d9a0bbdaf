import wabt from 'wabt'
import { uniformInput } from '../cases/inputs.ts'
import { copyBytes, copySeed, fmaAccumulators, fmaIterations, fmaProduct, type LimitCase } from '../cases/limits.ts'
import { fmaText } from './fma-text.ts'
import type { Implementation, ImplementationOptions, PreparedCase } from './implementation.ts'

/**
 * The limits of one core: multiply-adds on registers and copying memory. The variant names the loop.
 * `fma-256` holds pairs of adjacent vectors, which V8's revectoriser turns into 256-bit instructions.
 */
export function createLimits({ variant }: ImplementationOptions): Implementation {
  return {
    name: 'limits',
    version: process.versions.v8,
    available: async () => undefined,
    async prepare(benchmarkCase) {
      if (benchmarkCase.kind !== 'limit' || benchmarkCase.loop !== variant) return undefined
      return benchmarkCase.loop === 'copy' ? prepareCopy() : await prepareFma(benchmarkCase.loop)
    },
  }
}

async function prepareFma(loop: Exclude<LimitCase['loop'], 'copy'>): Promise<PreparedCase> {
  const accumulators = fmaAccumulators[loop]
  const { parseWat } = await wabt()
  const { buffer } = parseWat('fma.wat', fmaText(accumulators, loop === 'fma-256' ? 2 : 1), {
    simd: true,
    relaxed_simd: true,
  }).toBinary({})
  const { instance } = await WebAssembly.instantiate(buffer as Uint8Array<ArrayBuffer>)
  const run = instance.exports.run as (iterations: number) => void
  const memory = instance.exports.memory as WebAssembly.Memory
  new Float32Array(memory.buffer, 0, 16).set([...Array<number>(8).fill(fmaProduct), ...Array<number>(8).fill(1)])
  return {
    run: () => run(fmaIterations),
    async output() {
      run(fmaIterations)
      return new Float32Array(memory.buffer, 64, 4 * accumulators).slice()
    },
  }
}

function prepareCopy(): PreparedCase {
  const source = uniformInput(copyBytes / 4, copySeed)
  const target = new Float32Array(source.length)
  return {
    run: () => target.set(source),
    async output() {
      target.set(source)
      return target
    },
  }
}
