import wabt from 'wabt'
import { uniformInput } from '../cases/inputs.ts'
import { copyBytes, copySeed, fmaAccumulators, fmaIterations, fmaProduct, type LimitCase } from '../cases/limits.ts'
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

/**
 * Memory: eight lanes of one factor, eight of the other, then the accumulators as they were after the last round.
 * With two adjacent vectors of each factor the revectoriser can pair the accumulators.
 */
function fmaText(accumulators: number, vectors: 1 | 2): string {
  const lines = (line: (index: number) => string): string =>
    Array.from({ length: accumulators }, (_, i) => line(i)).join('\n')
  return `(module
    (memory (export "memory") 1)
    (func (export "run") (param $rounds i32)
      (local $left0 v128) (local $left1 v128) (local $right0 v128) (local $right1 v128)
      ${lines((i) => `(local $sum${i} v128)`)}
      (local.set $left0 (v128.load offset=0 (i32.const 0)))
      (local.set $left1 (v128.load offset=16 (i32.const 0)))
      (local.set $right0 (v128.load offset=32 (i32.const 0)))
      (local.set $right1 (v128.load offset=48 (i32.const 0)))
      (loop $round
        ${lines((i) => `(local.set $sum${i} (f32x4.relaxed_madd (local.get $left${i % vectors}) (local.get $right${i % vectors}) (local.get $sum${i})))`)}
        (br_if $round (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
      ${lines((i) => `(v128.store offset=${64 + 16 * i} (i32.const 0) (local.get $sum${i}))`)}))`
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
