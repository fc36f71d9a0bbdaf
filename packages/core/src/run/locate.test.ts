import { describe, expect, it } from 'vitest'
import { TesseraError } from '../errors.ts'
import type { Kernel, Plugin } from '../plugin/contract.ts'
import { scan } from '../tensor/control.ts'
import { tensor } from '../tensor/create.ts'
import { jit } from '../tensor/jit.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { valueAndGrad } from '../tensor/transforms.ts'
import { createHostBackend } from './host/device.ts'
import { referenceKernels } from './reference/index.ts'
import { createRuntime } from './runtime.ts'

declare module '../plugin/contract.ts' {
  interface BackendPrograms {
    singles: import('../plugin/contract.ts').ReferenceKernelProgram
  }
}

/** A backend that computes with everything but f64, as most do. */
const singles: Plugin = {
  name: 'singles',
  apiVersion: 1,
  backends: [
    createHostBackend({
      name: 'singles',
      variant: 'plain',
      limits: { gigaflops: 0.1, gigabytesPerSecond: 1, microsecondsPerCall: 2 },
    }),
  ],
  kernels: referenceKernels.map(
    (kernel): Kernel => ({
      ...kernel,
      backend: 'singles',
      cost: (call, limits) =>
        [...call.inputs, ...call.outputs].some(({ dtype }) => dtype === 'f64') ? undefined : kernel.cost(call, limits),
    }),
  ),
}

let place: Error

/** Notes the line that it is called from. */
function marked(x: Tensor): Tensor {
  place = new Error()
  return x
}

const linesOf = (text: string | undefined): string[] =>
  [...(text ?? '').matchAll(/locate\.test\.ts:\d+/g)].map(([line]) => line)
/** The line that an error reports, and the one that called `marked` last. */
const reported = (error: TesseraError) => linesOf(error.at)[0]
const wanted = () => linesOf(place.stack)[1]

async function failureOf(body: () => unknown): Promise<TesseraError> {
  const runtime = await createRuntime({ use: [singles], fallback: 'error' })
  try {
    await body()
  } catch (error) {
    return error as TesseraError
  } finally {
    await runtime.close()
  }
  throw new Error('it went through')
}

describe('a call that the backend has no kernel for', () => {
  it('is named with its line, among calls that have one', async () => {
    const error = await failureOf(() => {
      const x = tensor([1, 2]).exp()
      const y = marked(x).cast('f64')
      return y.multiply(2).data()
    })
    expect(error).toBeInstanceOf(TesseraError)
    expect(error.code).toBe('NO_KERNEL')
    expect(error.message).toMatch(/^cast: .*no kernel of backend 'singles'/)
    expect(reported(error)).toBe(wanted())
  })

  it('is named with its line inside of jit', async () => {
    const error = await failureOf(() => {
      const double = jit((x: Tensor) => {
        const wide = marked(x).cast('f64')
        return wide.sqrt()
      })
      return double(tensor([4])).data()
    })
    expect(error.code).toBe('NO_KERNEL')
    expect(reported(error)).toBe(wanted())
  })

  it('is named with its line in a gradient and in a loop', async () => {
    const inGradient = await failureOf(() => {
      const f = (x: Tensor) => marked(x).cast('f64').square().sum()
      return valueAndGrad(tensor([3]), f).value.data()
    })
    expect(reported(inGradient)).toBe(wanted())
    const inLoop = await failureOf(() => {
      const step = (sum: Tensor, x: Tensor) => {
        const wide = marked(x).cast('f64')
        return [sum.add(wide.cast('f32')), wide] as const
      }
      return scan(step, tensor(0), tensor([1, 2]), { unroll: false })[1].data()
    })
    expect(inLoop.code).toBe('NO_KERNEL')
    expect(reported(inLoop)).toBe(wanted())
  })

  it('is noted with its line where the host computes it', async () => {
    const lines: string[] = []
    const runtime = await createRuntime({ use: [singles], log: (line) => lines.push(line) })
    const x = tensor([1, 2])
    const wide = marked(x).cast('f64')
    expect([...(await wide.multiply(2).data())]).toEqual([2, 4])
    await runtime.close()
    expect(linesOf(lines[0])[0]).toBe(wanted())
  })
})
