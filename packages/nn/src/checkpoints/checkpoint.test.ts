import { randomKey, type Tensor, tensor, zeros } from '@tessera/core'
import { describe, expect, test } from 'vitest'
import { Dropout } from '../modules/dropout.ts'
import { Linear } from '../modules/linear.ts'
import { Module } from '../modules/module.ts'
import { AdamW } from '../optimizers/adam.ts'
import { serializeSafetensors } from '../safetensors/index.ts'
import { captureCheckpoint, restoreCheckpoint } from './checkpoint.ts'
import { decodeCheckpoint, encodeCheckpoint } from './encoding.ts'

class Model extends Module {
  readonly linear: Linear
  readonly dropout: Dropout
  constructor(seed: number, outputs = 2) {
    super()
    this.linear = new Linear(3, outputs, { key: randomKey(seed) })
    this.dropout = new Dropout(0.5, { key: randomKey(seed + 100) })
  }
}

function stateOf(seed: number, outputs?: number) {
  const model = new Model(seed, outputs)
  return { model, optimizer: new AdamW(model, { learningRate: 0.1 }) }
}

const bytesOf = async (state: Record<string, object>) =>
  encodeCheckpoint(await captureCheckpoint(state, { step: 3, configuration: { layers: 4, name: 'é' }, seed: 7 }))

describe('a checkpoint', () => {
  test('comes back as it was, into another state of the same structure', async () => {
    const saved = await bytesOf(stateOf(1))
    const other = stateOf(2)
    expect(await bytesOf(other)).not.toEqual(saved)
    const checkpoint = decodeCheckpoint(saved)
    expect(checkpoint.metadata).toEqual({ step: 3, configuration: { layers: 4, name: 'é' }, seed: 7 })
    restoreCheckpoint(checkpoint, other)
    expect(await bytesOf(other)).toEqual(saved)
  })

  test('holds the parameters, the random keys, the moments and the step', async () => {
    const { tensors } = await captureCheckpoint(stateOf(1), { step: 0 })
    expect([...tensors].map(([name, { dtype, shape }]) => `${name} ${dtype}[${shape}]`)).toEqual([
      'model.linear.weight F32[3,2]',
      'model.linear.bias F32[2]',
      'model.dropout.key U32[2]',
      'optimizer.step I32[]',
      'optimizer.state.firstMoment.linear.weight F32[3,2]',
      'optimizer.state.firstMoment.linear.bias F32[2]',
      'optimizer.state.secondMoment.linear.weight F32[3,2]',
      'optimizer.state.secondMoment.linear.bias F32[2]',
    ])
  })

  test('keeps every number format and tied tensors tied', async () => {
    const shared = tensor([1.5])
    const make = (value: number) => ({
      f64: tensor(new Float64Array([value])),
      bf16: tensor([value]).cast('bf16'),
      f16: tensor([value]).cast('f16'),
      i8: tensor(new Int8Array([value])),
      u8: tensor(new Uint8Array([value])),
      bool: tensor([value > 0]),
    })
    const state = { a: { ...make(3), shared }, b: [shared] }
    const empty = zeros([1])
    const other: { a: Record<string, Tensor>; b: Tensor[] } = { a: { ...make(0), shared: empty }, b: [empty] }
    restoreCheckpoint(decodeCheckpoint(encodeCheckpoint(await captureCheckpoint(state, { step: 0 }))), other)
    for (const [name, value] of Object.entries(state.a)) expect(await other.a[name]!.data()).toEqual(await value.data())
    expect(other.b[0]).toBe(other.a.shared)
  })

  test('brings back as different what was one at first', async () => {
    const key = randomKey(1)
    const make = () => ({ model: { first: new Dropout(0.5, { key }), second: new Dropout(0.5, { key }) } })
    const state = make()
    for (let i = 0; i < 2; i++) state.model.second.forward(zeros([1]))
    const other = make()
    expect(other.model.first.key).toBe(other.model.second.key)
    restoreCheckpoint(decodeCheckpoint(await bytesOf(state)), other)
    expect(await bytesOf(other)).toEqual(await bytesOf(state))
    expect(await other.model.first.key.data()).not.toEqual(await other.model.second.key.data())
  })

  test('of a whole run gives the model alone', async () => {
    const checkpoint = decodeCheckpoint(await bytesOf(stateOf(1)))
    const { model } = stateOf(2)
    restoreCheckpoint(checkpoint, { model })
    expect(await model.linear.weight.data()).toEqual(await stateOf(1).model.linear.weight.data())
  })
})

describe('a checkpoint that does not fit changes nothing and says why', () => {
  const cases: Record<string, { change: (tensors: Map<string, unknown>) => void; outputs?: number; message: RegExp }> =
    {
      'missing tensors': {
        change: (tensors) => {
          tensors.delete('model.linear.bias')
          tensors.delete('optimizer.step')
        },
        message: /it lacks model\.linear\.bias, optimizer\.step\. Make the model and the optimizer/,
      },
      'unexpected tensors': {
        change: (tensors) => tensors.set('model.linear.gain', tensors.get('model.linear.bias')),
        message: /it has model\.linear\.gain, which nothing here takes/,
      },
      'other shapes': {
        change: () => undefined,
        outputs: 5,
        message: /model\.linear\.weight is f32\[3, 2\] in the checkpoint and f32\[3, 5\] here; .* and 1 more/,
      },
      'other formats': {
        change: (tensors) =>
          tensors.set('optimizer.step', { ...(tensors.get('optimizer.step') as object), dtype: 'F32' }),
        message: /optimizer\.step is f32\[\] in the checkpoint and i32\[\] here/,
      },
      'formats that core does not have': {
        change: (tensors) => tensors.set('optimizer.step', { dtype: 'I64', shape: [], bytes: new Uint8Array(8) }),
        message: /optimizer\.step is I64\[\] in the checkpoint and i32\[\] here/,
      },
    }
  for (const [name, { change, outputs, message }] of Object.entries(cases)) {
    test(name, async () => {
      const checkpoint = await captureCheckpoint(stateOf(1), { step: 0 })
      const tensors = new Map(checkpoint.tensors)
      change(tensors as Map<string, unknown>)
      const state = stateOf(2, outputs)
      const before = await bytesOf(state)
      expect(() => restoreCheckpoint({ ...checkpoint, tensors }, state)).toThrow(
        expect.objectContaining({ code: 'CHECKPOINT_MISMATCH', message: expect.stringMatching(message) }),
      )
      expect(await bytesOf(state)).toEqual(before)
    })
  }
})

describe('bytes that are no checkpoint', () => {
  test('truncated anywhere', async () => {
    const bytes = await bytesOf(stateOf(1))
    for (let length = 0; length < bytes.length; length += 37) {
      expect(() => decodeCheckpoint(bytes.subarray(0, length)), `${length} bytes`).toThrow(/safetensors/)
    }
  })

  test('other metadata', () => {
    const file = (text?: string) => serializeSafetensors({}, text === undefined ? {} : { 'tessera.checkpoint': text })
    expect(() => decodeCheckpoint(file())).toThrow(/without the metadata of a training run/)
    expect(() => decodeCheckpoint(file('{'))).toThrow(/its metadata is not JSON/)
    expect(() => decodeCheckpoint(file('null'))).toThrow(/version undefined, this program reads version 1/)
    expect(() => decodeCheckpoint(file('{"version":2,"step":1}'))).toThrow(/version 2, this program reads version 1/)
    expect(() => decodeCheckpoint(file('{"version":1,"step":-1}'))).toThrow(/its step is -1/)
    expect(decodeCheckpoint(file('{"version":1,"step":1}')).metadata).toEqual({ step: 1 })
  })
})
