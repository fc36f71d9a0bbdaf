import {
  checkpoint,
  cond,
  createRuntime,
  forLoop,
  grad,
  jit,
  jvp,
  type Runtime,
  randomKey,
  randomNormal,
  scan,
  type Tensor,
  vmap,
  whileLoop,
} from '@tessera/core'
import { describe, expect, it } from 'vitest'
import { wasm } from './index.ts'

const [steps, batch, width] = [37, 5, 24]

/** Everything that control flow and batching do, on values of a few kernels' sizes. */
const cases: Record<string, (x: Tensor, w: Tensor) => Tensor> = {
  'a recurrent network': (x, w) => network(x, w),
  'its gradient by sequence': (x, w) => grad((x: Tensor) => network(x, w))(x) as Tensor,
  'its gradient by weight': (x, w) => grad((w: Tensor) => network(x, w))(w) as Tensor,
  'its gradient with steps written out': (x, w) => grad((w: Tensor) => network(x, w, true))(w) as Tensor,
  'its gradient with checkpoints': (x, w) => grad((w: Tensor) => checkpoint(network)(x, w))(w) as Tensor,
  'a gradient for each example': (x, w) =>
    vmap((x: Tensor) => grad((w: Tensor) => network(x.unsqueeze(1), w))(w) as Tensor, { inAxes: 1 })(x),
  'a tangent of the gradient': (x, w) =>
    jvp((w) => grad((w: Tensor) => network(x, w))(w) as Tensor, [w], [w.multiply(w)]).tangent,
  'a loop until it is large': (x) =>
    whileLoop(
      (y: Tensor) => y.abs().max().less(1e4),
      (y) => y.multiply(1.5).add(0.25),
      x,
    ),
  'a branch': (x, w) =>
    forLoop(
      4,
      (i, y: Tensor) =>
        cond(
          i.remainder(2).equal(0),
          (y: Tensor) => y.matmul(w),
          (y: Tensor) => y.sin(),
          y,
        ),
      x,
    ),
}

function network(x: Tensor, w: Tensor, unroll = false): Tensor {
  const start = x.select(0, 0).multiply(0)
  const [last, all] = scan(
    (h: Tensor, x: Tensor) => {
      const next = x.add(h.matmul(w)).tanh()
      return [next, next.sum()] as const
    },
    start,
    x,
    { unroll },
  )
  return last.square().mean().add(all.sin().mean())
}

const inputs = () =>
  [randomNormal(randomKey(1), [steps, batch, width]), randomNormal(randomKey(2), [width, width], 0, 0.2)] as const

async function valuesOf(runtime: Runtime, body: (x: Tensor, w: Tensor) => Tensor) {
  runtime.makeCurrent()
  const [x, w] = inputs()
  return [await jit(body)(x, w).data(), await body(x, w).data()] as const
}

describe.each([1, 2])('control flow on %i threads', (threads) => {
  it.each(Object.entries(cases))('%s', async (_, body) => {
    const reference = await createRuntime()
    const [expected] = await valuesOf(reference, body)
    const runtime = await createRuntime({ use: [wasm({ threads })] })
    const [jitted, eager] = await valuesOf(runtime, body)
    await runtime.close()
    await reference.close()
    expect(eager).toEqual(jitted)
    const values = [...expected]
    const scale = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length)
    // Rounding to f32 in 37 steps, of which each is a product of 24 terms.
    const worst = Math.max(...values.map((value, i) => Math.abs(jitted[i]! - value) / (scale + Math.abs(value))))
    expect(worst).toBeLessThan(5e-5)
  })

  it('reuses memory from step to step', async () => {
    const runtime = await createRuntime({ use: [wasm({ threads })] })
    const [x, w] = inputs()
    const run = jit((x: Tensor, w: Tensor) => network(x, w))
    await run(x, w).item()
    const before = runtime.memory().usedBytes
    for (let i = 0; i < 3; i++) await run(x, w).item()
    expect(runtime.memory().usedBytes - before).toBeLessThan(1024)
    await runtime.close()
  })
})
