/** Times products through this backend: `npm run bench -- 512 1024`. */
import { createRuntime, randomKey, randomNormal, splitKey } from '@tessera/core'
import { blas } from './index.ts'

const sizes = process.argv.slice(2).map(Number)
const rounds = 9

for (const threads of [1, 2]) {
  const runtime = await createRuntime({ use: [blas({ threads })] })
  for (const size of sizes.length > 0 ? sizes : [512, 1024]) {
    const [a, b] = splitKey(randomKey(1)).map((key) => randomNormal(key, [size, size])) as [
      ReturnType<typeof randomNormal>,
      ReturnType<typeof randomNormal>,
    ]
    await Promise.all([a.data(), b.data()])
    const times: number[] = []
    for (let round = 0; round < rounds; round++) {
      const start = performance.now()
      a.matmul(b).realize()
      await runtime.synchronize()
      times.push(performance.now() - start)
    }
    times.sort((x, y) => x - y)
    const [fastest, median] = [times[0]!, times[rounds >> 1]!]
    const gigaflops = (2 * size ** 3) / (median * 1e6)
    console.log(
      `${size} × ${size} × ${size}, ${threads} threads: median ${median.toFixed(2)} ms, minimum ${fastest.toFixed(2)} ms, ${gigaflops.toFixed(0)} GFLOP/s`,
    )
  }
  await runtime.close()
}
