import { randomKey, tensor } from '@tessera/core'
import { parseSafetensors, safetensorsValues } from '@tessera/nn'
import { expect, it } from 'vitest'
import { gptConfiguration } from '../gpt/configuration.ts'
import { Gpt } from '../gpt/model.ts'
import { gptToHuggingFace } from './files.ts'

/**
 * GPT-2 once more, in plain float64 loops over the tensors of a Hugging Face file, after the definitions in the papers and
 * without any part of the model under test.
 */

type Matrix = number[][]
type Weights = (name: string) => number[]

const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0)
const addRows = (a: Matrix, b: Matrix): Matrix => a.map((row, i) => row.map((value, j) => value + b[i]![j]!))

/** Conv1D of transformers: weight `[in, out]`, row-major. */
function linear(x: Matrix, weights: Weights, name: string): Matrix {
  const [weight, bias] = [weights(`${name}.weight`), weights(`${name}.bias`)]
  return x.map((row) =>
    bias.map((offset, out) => offset + row.reduce((sum, value, i) => sum + value * weight[i * bias.length + out]!, 0)),
  )
}

function norm(x: Matrix, weights: Weights, name: string): Matrix {
  const [gain, bias] = [weights(`${name}.weight`), weights(`${name}.bias`)]
  return x.map((row) => {
    const mean = row.reduce((sum, value) => sum + value, 0) / row.length
    const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / row.length
    return row.map((value, i) => ((value - mean) / Math.sqrt(variance + 1e-5)) * gain[i]! + bias[i]!)
  })
}

function attention(x: Matrix, weights: Weights, name: string, heads: number): Matrix {
  const width = x[0]!.length
  const size = width / heads
  const parts = linear(x, weights, `${name}.c_attn`)
  const mixed = x.map(() => new Array<number>(width).fill(0))
  for (let head = 0; head < heads; head++) {
    const part = (row: number, which: number) =>
      parts[row]!.slice(which * width + head * size, which * width + (head + 1) * size)
    for (let query = 0; query < x.length; query++) {
      const scores = Array.from({ length: query + 1 }, (_, key) =>
        Math.exp(dot(part(query, 0), part(key, 1)) / Math.sqrt(size)),
      )
      const total = scores.reduce((sum, score) => sum + score, 0)
      scores.forEach((score, key) => {
        part(key, 2).forEach((value, i) => {
          mixed[query]![head * size + i]! += (score / total) * value
        })
      })
    }
  }
  return linear(mixed, weights, `${name}.c_proj`)
}

const gelu = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))

function logits(
  tokens: readonly number[],
  weights: Weights,
  config: { n_layer: number; n_head: number; n_embd: number },
): Matrix {
  const row = (name: string, index: number) => weights(name).slice(index * config.n_embd, (index + 1) * config.n_embd)
  let x = tokens.map((token, position) =>
    row('wte.weight', token).map((value, i) => value + row('wpe.weight', position)[i]!),
  )
  for (let layer = 0; layer < config.n_layer; layer++) {
    const block = `h.${layer}`
    x = addRows(x, attention(norm(x, weights, `${block}.ln_1`), weights, `${block}.attn`, config.n_head))
    const expanded = linear(norm(x, weights, `${block}.ln_2`), weights, `${block}.mlp.c_fc`)
    x = addRows(
      x,
      linear(
        expanded.map((values) => values.map(gelu)),
        weights,
        `${block}.mlp.c_proj`,
      ),
    )
  }
  const vocabulary = weights('wte.weight').length / config.n_embd
  return norm(x, weights, 'ln_f').map((hidden) =>
    Array.from({ length: vocabulary }, (_, token) => dot(hidden, row('wte.weight', token))),
  )
}

it('gives the logits of an independent implementation that reads the same file', async () => {
  const sizes = gptConfiguration({ layers: 2, heads: 3, width: 12, blockSize: 8, vocabularySize: 13 })
  const model = new Gpt(sizes, randomKey(6))
  // Weights of the size of one, biases and gains that are neither 0 nor 1: every part must matter.
  for (const module of model.modules()) {
    for (const [name, value] of Object.entries(module)) {
      if (!['weight', 'bias', 'gain'].includes(name) || value === undefined) continue
      const values = Float32Array.from(
        { length: value.size },
        (_, i) => Math.sin(i * i + value.size + 1) / (value.rank === 2 ? 2 : 4),
      )
      Object.assign(module, { [name]: tensor(values, value.shape).add(name === 'gain' ? 1 : 0) })
    }
  }
  const { config, weights } = await gptToHuggingFace(model)
  const stored = parseSafetensors(weights).tensors
  const read: Weights = (name) => Array.from(safetensorsValues(stored.get(`transformer.${name}`)!) as Float32Array)
  const tokens = [12, 0, 5, 5, 3, 7, 1]
  const expected = logits(tokens, read, JSON.parse(config)).flat()
  const actual = await model.forward(tensor(Int32Array.from(tokens), [1, tokens.length])).data()
  expect(Math.max(...expected) - Math.min(...expected)).toBeGreaterThan(1)
  expect(Math.max(...expected.map((value, i) => Math.abs(value - actual[i]!)))).toBeLessThan(1e-4)
})
