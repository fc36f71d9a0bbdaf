/** Runs in the page, or in a worker of it: what the tests of the backend `wasm` ask for. */
import { type WasmOptions, wasm, wasmKernels } from '@tessera/backend-wasm'
import { createRuntime, jit, ones, type Tensor, tensor } from '@tessera/core'
import { collectTests, failuresOf, testBackend } from '@tessera/core/testing'

/** Formats that generated code computes in. */
const capabilities = { formats: ['f32', 'i32', 'u32', 'i8', 'u8', 'bool'], denormals: false } as const

const codeOf = (error: unknown): string => (error as { code?: string }).code ?? String(error)

/** Matrices large enough to keep threads busy for a while. */
async function longProduct(count: number): Promise<{ readonly result: Promise<number> }> {
  const multiply = jit((a: Tensor, b: Tensor) => {
    let product = a
    for (let i = 0; i < count; i++) product = product.matmul(b).multiply(1 / 512)
    return product.mean()
  })
  const [a, b] = [ones([512, 512]).realize(), ones([512, 512]).realize()]
  await multiply(a, b).item()
  return { result: multiply(a, b).item() }
}

const checks = {
  /** Every `stride`-th test of the conformance suite, from `first` on, and the last one, which looks at the memory. */
  async conformance(options: WasmOptions, first: number, stride: number) {
    const tests = collectTests((run) =>
      testBackend({ backend: wasm(options).backends![0]!, kernels: wasmKernels, run, capabilities }),
    )
    const chosen = tests.filter((_, i) => i % stride === first || i === tests.length - 1)
    return { count: chosen.length, failures: [...(await failuresOf(chosen))] }
  },

  async describe(options: WasmOptions = {}) {
    const runtime = await createRuntime({ use: [wasm(options)] })
    const { variant, threads } = runtime.device
    const sum = await tensor([1, 2, 3]).multiply(2).sum().item()
    await runtime.close()
    return { variant, threads, sum }
  },

  /** Turns of the event loop while threads compute. */
  async responsiveness() {
    const runtime = await createRuntime({ use: [wasm({ threads: 2 })] })
    const { result } = await longProduct(16)
    let turns = 0
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      turns++
      port2.postMessage(0)
    }
    port2.postMessage(0)
    const value = await result
    port1.close()
    await runtime.close()
    return { turns, value }
  },

  /** Writes, runs in place and reads that are asked for at once take place in that order. */
  async order() {
    const runtime = await createRuntime({ use: [wasm({ threads: 2 })] })
    const state = { x: tensor(new Float32Array(200_000)).realize() }
    const step = jit((state: { x: Tensor }, by: Tensor) => {
      state.x = state.x.add(by)
    })
    const seen: Promise<number>[] = []
    for (let i = 1; i <= 20; i++) {
      step(state, tensor(new Float32Array(200_000).fill(i)))
      seen.push(state.x.data().then((data) => data[199_999]!))
    }
    const values = await Promise.all(seen)
    await runtime.close()
    return values
  },

  async twoRuntimes() {
    const [one, other] = [
      await createRuntime({ use: [wasm({ threads: 2 })] }),
      await createRuntime({ use: [wasm({ threads: 3 })] }),
    ]
    const x = new Float32Array(1_000_000).fill(1)
    const sums: Promise<number>[] = []
    for (let i = 1; i <= 5; i++) {
      one.makeCurrent()
      sums.push(tensor(x).multiply(i).sum().item())
      other.makeCurrent()
      sums.push(tensor(x).multiply(-i).sum().item())
    }
    const values = await Promise.all(sums)
    await Promise.all([one.close(), other.close()])
    return values
  },

  async closedWhileBusy() {
    const runtime = await createRuntime({ use: [wasm({ threads: 2 })] })
    const { result } = await longProduct(16)
    const outcome = result.then(() => 'done', codeOf)
    await runtime.close()
    return outcome
  },

  /** A worker ends in the middle of a run; what is asked for afterwards works. */
  async lostWorker(thread: number) {
    const workers: Worker[] = []
    const Original = globalThis.Worker
    globalThis.Worker = class extends Original {
      constructor(...given: ConstructorParameters<typeof Worker>) {
        super(...given)
        workers.push(this)
      }
    }
    const runtime = await createRuntime({ use: [wasm({ threads: 3 })] })
    globalThis.Worker = Original
    workers[thread]!.terminate()
    // Chromium lets a worker that is computing go on for up to two seconds.
    let first = ''
    while (first === '') {
      const { result } = await longProduct(10).catch((error) => ({ result: Promise.reject(error) }))
      await result.catch((error) => {
        first = `${codeOf(error)} ${(error as Error).message}`
      })
    }
    const again = await tensor(new Float32Array(1_000_000).fill(1)).sum().item()
    await runtime.close()
    return { first, again }
  },

  async profile() {
    const lines: string[] = []
    const runtime = await createRuntime({ use: [wasm({ threads: 2 })], debug: 2, log: (line) => lines.push(line) })
    await tensor(new Float32Array(100_000).fill(1)).exp().sum().item()
    await runtime.synchronize()
    await runtime.close()
    return lines.join('\n')
  },
}

export type Checks = typeof checks
Object.assign(globalThis, { checks })

// In a worker, the page asks by message.
if (!('document' in globalThis)) {
  globalThis.onmessage = async ({ data: [name, args] }: MessageEvent<[keyof Checks, never[]]>) => {
    try {
      postMessage({ result: await (checks[name] as (...args: never[]) => Promise<unknown>)(...args) })
    } catch (error) {
      postMessage({ error: String(error) })
    }
  }
}
