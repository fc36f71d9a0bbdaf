/**
 * Speed of sparse attention, forward and backward, one head of 64, one thread, beside dense attention and a matrix product of the same run.
 * Milliseconds are of processor time, which tells more than wall time on a machine that others use.
 *
 *   node bench/sparse-attention.ts [--lengths 4096,16384] [--patterns strided,fixed,local,dense] [--rounds 5]
 */
import { parseArgs } from 'node:util'
import { wasm } from '@tessera/backend-wasm'
import { attention, createRuntime, jit, randomKey, randomNormal, type Tensor, valueAndGrad } from '@tessera/core'
import { dense, fixed, local, patternWork, type SparsePattern, sparseAttention, strided } from '../src/index.ts'
import { sparseAttentionWasm } from '../src/wasm/index.ts'

const width = 64
const { values } = parseArgs({
  options: {
    lengths: { type: 'string', default: '4096,16384' },
    patterns: { type: 'string', default: 'strided,fixed,local,dense' },
    rounds: { type: 'string', default: '5' },
  },
})
const runtime = await createRuntime({ use: [wasm({ wide: true, threads: 1 }), sparseAttentionWasm()] })

/** Least milliseconds of processor time of a few runs. */
async function measure(run: () => readonly Tensor[]): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  for (let round = 0; round <= Number(values.rounds); round++) {
    const before = process.cpuUsage()
    const results = run()
    await runtime.device.synchronize()
    const { user, system } = process.cpuUsage(before)
    // The first run compiles.
    if (round > 0) least = Math.min(least, (user + system) / 1000)
    for (const result of results) result.dispose()
  }
  return least
}

/** Two products forward, and five backward with the scores computed again. */
const gigaflops = (pairs: number, milliseconds: number) => (14 * width * pairs) / milliseconds / 1e6

const patternsOf = (length: number): Record<string, SparsePattern> => {
  const stride = 2 ** Math.round(Math.log2(length) / 2)
  return { strided: strided(stride), fixed: fixed(stride, 8), local: local(stride), dense: dense() }
}

const matrix = randomNormal(randomKey(9), [1024, 1024])
const product = jit((a: Tensor) => a.matmul(a))
const ofProduct = (2 * 1024 ** 3) / (await measure(() => [product(matrix)])) / 1e6
console.log(`matrix product 1024: ${ofProduct.toFixed(1)} GFLOP/s (${runtime.device.variant})`)
console.log(
  '| length | pattern | ms | GFLOP/s | of the product | scores of dense | peak MiB |\n|---|---|---|---|---|---|---|',
)

const points: Record<string, [number, number][]> = {}
for (const length of values.lengths.split(',').map(Number)) {
  const parts = [1, 2, 3].map((seed) => randomNormal(randomKey(seed), [1, length, width]).realize())
  for (const name of values.patterns.split(',')) {
    const pattern = patternsOf(length)[name]!
    const step = jit((parts: Tensor[]) => {
      const { value, gradients } = valueAndGrad(parts, ([query, key, value]) =>
        (name === 'dense'
          ? attention(query!, key!, value!, { causal: true })
          : sparseAttention(query!, key!, value!, pattern)
        ).sum(),
      )
      return [value, ...gradients]
    })
    const milliseconds = await measure(() => step(parts))
    const { pairs, densePairs } = patternWork(pattern, length)
    const speed = gigaflops(pairs, milliseconds)
    points[name] = [...(points[name] ?? []), [Math.log(length), Math.log(milliseconds)]]
    const peak = runtime.device.memory().peakBytes / 2 ** 20
    console.log(
      `| ${length} | ${name} | ${milliseconds.toFixed(1)} | ${speed.toFixed(1)} | ${((100 * speed) / ofProduct).toFixed(0)} % | 1 / ${(densePairs / pairs).toFixed(1)} | ${peak.toFixed(0)} |`,
    )
  }
  for (const part of parts) part.dispose()
}
for (const [name, list] of Object.entries(points)) {
  if (list.length < 2) continue
  const mean = (k: 0 | 1) => list.reduce((sum, point) => sum + point[k], 0) / list.length
  const covariance = list.reduce((sum, [x, y]) => sum + (x - mean(0)) * (y - mean(1)), 0)
  const variance = list.reduce((sum, [x]) => sum + (x - mean(0)) ** 2, 0)
  console.log(`${name}: time grows with the length to the power ${(covariance / variance).toFixed(2)}`)
}
await runtime.close()
