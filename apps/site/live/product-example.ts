import { wasm } from '@tessera/backend-wasm'
import { createRuntime, randomKey, randomNormal } from '@tessera/core'

/** How many multiplications and additions a second this browser reaches in a product of two matrices. */
export async function run(print: (line: string) => void): Promise<void> {
  const size = 512
  const runtime = await createRuntime({ use: [wasm()] })
  const a = randomNormal(randomKey(1), [size, size])
  await a.data()
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 10; round++) {
    const start = performance.now()
    await a.matmul(a).sum().item()
    best = Math.min(best, performance.now() - start)
  }
  print(`${runtime.device.variant}, threads: ${runtime.device.threads}`)
  print(`${size} × ${size} × ${size}: ${best.toFixed(1)} ms, ${((2 * size ** 3) / (best * 1e6)).toFixed(1)} GFLOP/s`)
  await runtime.close()
}
