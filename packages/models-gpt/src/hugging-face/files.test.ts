import { randomKey, tensor } from '@tessera/core'
import { parseSafetensors, type SafetensorsInput, serializeSafetensors } from '@tessera/nn'
import { describe, expect, it } from 'vitest'
import { gptConfiguration } from '../gpt/configuration.ts'
import { Gpt } from '../gpt/model.ts'
import { gptFromHuggingFace, gptToHuggingFace } from './files.ts'

const configuration = gptConfiguration({
  layers: 2,
  heads: 2,
  width: 8,
  blockSize: 6,
  vocabularySize: 11,
  dropout: 0.1,
})
const model = new Gpt(configuration, randomKey(2)).eval()
const tokens = tensor(new Int32Array([1, 10, 3, 0]), [1, 4])
const { config, weights } = await gptToHuggingFace(model)

/** The written tensors, changed: `undefined` takes one out. */
function changed(changes: Record<string, SafetensorsInput | undefined>, rename = (name: string) => name): Uint8Array {
  const entries = Object.entries({ ...Object.fromEntries(parseSafetensors(weights).tensors), ...changes })
  return serializeSafetensors(entries.flatMap(([name, value]) => (value ? [[rename(name), value] as const] : [])))
}

const zeros = (...shape: number[]): SafetensorsInput => ({
  dtype: 'F32',
  shape,
  bytes: new Float32Array(shape.reduce((size, extent) => size * extent, 1)),
})

async function expectSameLogits(other: Gpt): Promise<void> {
  expect(await other.eval().forward(tokens).data()).toEqual(await model.forward(tokens).data())
}

describe('Hugging Face GPT-2', () => {
  it('has the names and the [in, out] weights of transformers', () => {
    const shapes = Object.fromEntries([...parseSafetensors(weights).tensors].map(([name, { shape }]) => [name, shape]))
    expect(Object.keys(shapes)).toHaveLength(2 + 2 * 12 + 2)
    expect(shapes).toMatchObject({
      'transformer.wte.weight': [11, 8],
      'transformer.wpe.weight': [6, 8],
      'transformer.h.0.ln_1.weight': [8],
      'transformer.h.0.ln_1.bias': [8],
      'transformer.h.1.attn.c_attn.weight': [8, 24],
      'transformer.h.1.attn.c_attn.bias': [24],
      'transformer.h.1.attn.c_proj.weight': [8, 8],
      'transformer.h.1.ln_2.bias': [8],
      'transformer.h.1.mlp.c_fc.weight': [8, 32],
      'transformer.h.1.mlp.c_proj.weight': [32, 8],
      'transformer.ln_f.weight': [8],
    })
  })

  it('comes back the same', async () => {
    const back = gptFromHuggingFace({ config, weights })
    expect(back.configuration).toEqual(configuration)
    await expectSameLogits(back)
    expect((await gptToHuggingFace(back)).weights).toEqual(weights)
  })

  it('reads names without prefix, mask buffers, and the tied output embedding', async () => {
    const embedding = parseSafetensors(weights).tensors.get('transformer.wte.weight')!
    const extra = {
      'h.0.attn.bias': zeros(1, 1, 6, 6),
      'h.1.attn.masked_bias': zeros(),
      'lm_head.weight': embedding,
    }
    const bare = (name: string) => name.replace('transformer.', '')
    await expectSameLogits(gptFromHuggingFace({ config, weights: changed(extra, bare) }))
    await expectSameLogits(
      gptFromHuggingFace({ config, weights: changed({ 'transformer.h.0.attn.bias': zeros(1, 1, 6, 6) }) }),
    )
  })

  it('reads weights of 16 and 64 bits', async () => {
    const stored = parseSafetensors(weights).tensors
    const gain = { ...stored.get('transformer.ln_f.weight')! }
    const ones = {
      F16: new Uint16Array(8).fill(0x3c00),
      BF16: new Uint16Array(8).fill(0x3f80),
      F64: new Float64Array(8).fill(1),
    }
    for (const [dtype, bytes] of Object.entries(ones)) {
      const file = changed({ 'transformer.ln_f.weight': { ...gain, dtype: dtype as 'F16', bytes } })
      await expectSameLogits(gptFromHuggingFace({ config, weights: file }))
    }
  })

  it('writes zeros for biases that the model does not have', async () => {
    const bare = new Gpt({ ...configuration, biases: false }, randomKey(2)).eval()
    const back = gptFromHuggingFace(await gptToHuggingFace(bare)).eval()
    expect(back.configuration.biases).toBe(true)
    const expected = (await bare.forward(tokens).data()) as Float32Array
    expect(await back.forward(tokens).data()).toEqual(expected)
  })

  it('lists in one error everything that does not fit', () => {
    const file = changed({
      'transformer.wpe.weight': undefined,
      'transformer.h.1.attn.c_attn.weight': zeros(24, 8),
      'transformer.h.2.ln_1.weight': zeros(8),
      'transformer.ln_f.bias': { dtype: 'I32', shape: [8], bytes: new Int32Array(8) },
      'lm_head.weight': zeros(11, 8),
    })
    expect(() => gptFromHuggingFace({ config, weights: file })).toThrow(
      'Hugging Face weights: the file does not fit its config (2 layers, width 8, vocabulary 11): wpe.weight is missing; ' +
        'h.1.attn.c_attn.weight is [24, 8], not [8, 24]; ln_f.bias holds I32, not F32, F64, F16, BF16; ' +
        'lm_head.weight differs from wte.weight, and only tied output embeddings are supported; ' +
        'h.2.ln_1.weight is no part of a GPT-2 of this config. Take config.json and model.safetensors from one model.',
    )
  })

  it('refuses a false number of layers at once, and a damaged file', () => {
    const many = JSON.stringify({ ...JSON.parse(config), n_layer: 9999 })
    expect(() => gptFromHuggingFace({ config: many, weights })).toThrow('it has 28 tensors for 9999 layers')
    expect(() => gptFromHuggingFace({ config, weights: weights.slice(0, -1) })).toThrow(/safetensors/)
  })

  it('refuses to write a model that GPT-2 cannot express', async () => {
    const odd = new Gpt({ ...configuration, headWidth: 3 }, randomKey(2))
    await expect(gptToHuggingFace(odd)).rejects.toThrow(
      "2 heads of 3 channels are not the width 8, and Hugging Face's GPT-2 has no setting",
    )
  })
})
