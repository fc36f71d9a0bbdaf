/**
 * Speed of the product of two i8 matrices beside that of two f32 matrices, for each variant: least milliseconds of some rounds, in which
 * the two take turns. Packing is timed by products with a single column (row), which take one tile's panel: left, then right
 * matrix; in brackets a left matrix that is stored by columns.
 *
 *   node bench/integer-product.ts [--size 1024] [--rounds 15] [--variants plain,relaxed,wide] [--threads 1]
 */
import { parseArgs } from 'node:util'
import { type Variant, wasm } from '@tessera/backend-wasm'
import { createRuntime, jit, randomKey, randomNormal, type Tensor } from '@tessera/core'
import { integerMatmul } from '../src/index.ts'
import { integerMatmulWasm } from '../src/wasm/index.ts'

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '15' },
    variants: { type: 'string', default: 'plain,relaxed,wide' },
    threads: { type: 'string', default: '1' },
  },
})
const size = Number(values.size)

console.log('| variant | f32 ms | i8 ms | ratio | f32 GFLOP/s | i8 GOP/s | packing |\n|---|---|---|---|---|---|---|')
for (const variant of values.variants.split(',') as Variant[]) {
  const runtime = await createRuntime({
    use: [wasm({ variant, threads: Number(values.threads) }), integerMatmulWasm()],
  })
  const floats = [1, 2].map((seed) => randomNormal(randomKey(seed), [size, size]).realize())
  const integers = floats.map((x) => x.multiply(40).round().cast('i8').realize())
  const float = jit((a: Tensor, b: Tensor) => a.matmul(b))
  const integer = jit((a: Tensor, b: Tensor) => integerMatmul(a, b))
  const [a, b] = integers as [Tensor, Tensor]
  const [row, column] = [a.slice(0, 0, 1).realize(), b.slice(1, 0, 1).realize()]
  // Stored by columns, the left matrix is packed in another way.
  const turned = a.transpose().realize()
  const ofTurned = jit((a: Tensor, b: Tensor) => integerMatmul(a.transpose(), b))
  // One row (column) takes one panel of tiles: what is left is the packing of the other matrix.
  const runs = {
    float: () => float(floats[0]!, floats[1]!),
    integer: () => integer(a, b),
    packsRight: () => integer(row, b),
    packsLeft: () => integer(a, column),
    packsLeftByColumns: () => ofTurned(turned, column),
  }
  const least: Record<string, number> = {}
  for (let round = 0; round <= Number(values.rounds); round++) {
    for (const [name, run] of Object.entries(runs)) {
      const before = performance.now()
      const result = run()
      await runtime.device.synchronize()
      const milliseconds = performance.now() - before
      result.dispose()
      // The first rounds compile.
      if (round > 1) least[name] = Math.min(least[name] ?? Number.POSITIVE_INFINITY, milliseconds)
    }
  }
  const speed = (name: string) => ((2 * size ** 3) / least[name]! / 1e6).toFixed(1)
  const ratio = (least.float! / least.integer!).toFixed(2)
  const packing = `${least.packsLeft!.toFixed(1)} (${least.packsLeftByColumns!.toFixed(1)}) + ${least.packsRight!.toFixed(1)} ms`
  console.log(
    `| ${variant} | ${least.float!.toFixed(1)} | ${least.integer!.toFixed(1)} | ${ratio} | ${speed('float')} | ${speed('integer')} | ${packing} |`,
  )
  await runtime.close()
}
