import { tensor } from '@tessera/core'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { importOnnx } from '../model.ts'
import { arrayOf, type TestTensor } from './encode.ts'

/** What both give for a model: numbers and shapes of every output, by name. */
export type Outputs = Readonly<Record<string, { readonly shape: readonly number[]; readonly data: readonly number[] }>>

const dtypes = { float: 'f32', double: 'f64', int64: 'i32', int32: 'i32', bool: 'bool', uint8: 'u8' } as const

/** Runs a model in onnxruntime, the oracle. */
export async function runOracle(model: Uint8Array, inputs: Readonly<Record<string, TestTensor>>): Promise<Outputs> {
  const session = await InferenceSession.create(model, { graphOptimizationLevel: 'disabled', logSeverityLevel: 4 })
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, input]) => {
      const type = input.type === 'float' ? 'float32' : input.type === 'double' ? 'float64' : input.type
      return [name, new OrtTensor(type, arrayOf(input) as Float32Array, [...input.shape])]
    }),
  )
  const results = await session.run(feeds)
  const outputs = Object.entries(results).map(([name, { dims, data }]) => [
    name,
    { shape: [...dims], data: Array.from(data as ArrayLike<number | bigint>, Number) },
  ])
  await session.release()
  return Object.fromEntries(outputs)
}

/** Runs a model here. */
export async function runHere(model: Uint8Array, inputs: Readonly<Record<string, TestTensor>>): Promise<Outputs> {
  const tensors = Object.fromEntries(
    Object.entries(inputs).map(([name, { type, shape, data }]) => [
      name,
      tensor(Float64Array.from(data), shape, 'f64').cast(dtypes[type]),
    ]),
  )
  const results = importOnnx(model).run(tensors)
  const outputs: Record<string, Outputs[string]> = {}
  for (const [name, output] of Object.entries(results)) {
    outputs[name] = { shape: [...output.shape], data: Array.from(await output.data()) }
  }
  return outputs
}

/** Throws where the two differ by more than a tolerance, relative to 1 or to the oracle's number if that is larger. */
export function compareOutputs(actual: Outputs, wanted: Outputs, tolerance: number): void {
  for (const [name, { shape, data }] of Object.entries(wanted)) {
    const found = actual[name]
    if (found?.shape.join() !== shape.join())
      throw new Error(`${name} has the shape [${found?.shape}], the oracle [${shape}]`)
    data.forEach((value, i) => {
      const own = found.data[i]!
      if (Object.is(own, value) || (Number.isNaN(own) && Number.isNaN(value)) || own === value) return
      const error = Math.abs(own - value) / Math.max(1, Math.abs(value))
      if (!(error <= tolerance)) throw new Error(`${name}[${i}] is ${own}, the oracle gives ${value}`)
    })
  }
}
