import { grad, jit, namedTensors, randomKey, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { crossEntropy } from '@tessera/nn'
import { describe, expect, it } from 'vitest'
import { type GptOptions, gptConfiguration } from './configuration.ts'
import { Gpt } from './model.ts'
import { countParameters, gptParameterShapes } from './parameters.ts'

const small: GptOptions = { layers: 2, heads: 2, width: 8, blockSize: 6, vocabularySize: 11 }
const make = (changes: Partial<GptOptions> = {}) => new Gpt(gptConfiguration({ ...small, ...changes }), randomKey(1))
const tokens = tensor(new Int32Array([1, 10, 3, 0, 5, 5, 2, 7]), [2, 4])
const targets = tensor(new Int32Array([10, 3, 0, 4, 5, 2, 7, 9]), [2, 4])

function shapesOf(model: Gpt): [string, readonly number[]][] {
  return Object.entries(model.parameters()).map(([name, { shape }]) => [name, shape])
}

describe('Gpt', () => {
  it.each([{}, { biases: false }, { headWidth: 3 }, { feedForwardRatio: 2.5, dropout: 0.1 }])(
    'has the parameters that are counted from shapes: %j',
    (changes) => {
      const model = make(changes)
      expect(shapesOf(model)).toEqual([...gptParameterShapes(model.configuration)])
      expect(model.parameterCount).toBe(countParameters(model.configuration))
    },
  )

  it('gives logits for every position', () => {
    expect(make().forward(tokens).shape).toEqual([2, 4, 11])
  })

  it('sees no later token', async () => {
    const model = make()
    const changed = tensor(new Int32Array([1, 10, 3, 9, 5, 5, 2, 0]), [2, 4])
    const before = (await model.forward(tokens).data()) as Float32Array
    const after = (await model.forward(changed).data()) as Float32Array
    for (const row of [0, 1]) {
      const [start, last] = [row * 4 * 11, (row * 4 + 3) * 11]
      expect(after.slice(start, last)).toEqual(before.slice(start, last))
      expect(after.slice(last, last + 11)).not.toEqual(before.slice(last, last + 11))
    }
  })

  it('starts near a loss of log(vocabulary), with residual projections scaled by 1/√(2L)', async () => {
    const model = make({ layers: 3, width: 32, vocabularySize: 100, initialDeviation: 0.03 })
    for (const weight of Object.values(model.parameters())) weight.realize()
    const loss = await crossEntropy(model.forward(tokens), targets).item()
    expect(Math.abs(loss - Math.log(100))).toBeLessThan(0.1)
    const deviation = async (weight: Tensor) => Math.sqrt(await weight.square().mean().item())
    const [block] = model.blocks
    expect(await deviation(model.tokenEmbedding.weight)).toBeCloseTo(0.02, 3)
    expect(await deviation(block!.feedForward.expansion.weight)).toBeCloseTo(0.03, 3)
    expect(await deviation(block!.feedForward.projection.weight)).toBeCloseTo(0.03 / Math.sqrt(6), 3)
    expect(await deviation(block!.attention.projection.weight)).toBeCloseTo(0.03 / Math.sqrt(6), 3)
  })

  it('has the same gradients when the backward pass computes blocks again, with dropout', async () => {
    const gradientsOf = async (recompute: boolean) => {
      const model = make({ dropout: 0.3, recompute })
      for (const weight of Object.values(model.parameters())) weight.realize()
      const results: Float32Array[] = []
      const step = jit((model: Gpt) => valueAndGrad(model, (m) => crossEntropy(m.forward(tokens), targets)).gradients)
      // The second step draws other masks: the keys have moved on.
      for (let round = 0; round < 2; round++) {
        for (const gradient of namedTensors(step(model)).values()) results.push(new Float32Array(await gradient.data()))
      }
      return results
    }
    const [kept, again] = [await gradientsOf(false), await gradientsOf(true)]
    expect(kept[0]).not.toEqual(kept[kept.length / 2])
    kept.forEach((values, i) => {
      values.forEach((value, k) => {
        expect(Math.abs(again[i]![k]! - value)).toBeLessThan(1e-6)
      })
    })
  })

  it('has gradients that agree with finite differences, for every parameter', async () => {
    const model = make()
    // The first weights are so small that differences would drown in rounding.
    for (const [name, weight] of Object.entries(model.parameters())) {
      if (weight.rank === 2) replace(model, name, weight.multiply(20).realize())
    }
    const loss = () => crossEntropy(model.forward(tokens), targets)
    const { gradients } = valueAndGrad(model.parameters(), loss)
    for (const [name, weight] of Object.entries(model.parameters())) {
      const gradient = (await gradients[name]!.data()) as Float32Array
      const values = (await weight.data()) as Float32Array
      // Along the gradient's own direction the slope is the gradient's norm, the largest there is.
      const norm = Math.hypot(...gradient)
      const step = 2e-2 / Math.max(1, norm)
      const at = async (sign: number) => {
        replace(
          model,
          name,
          tensor(
            values.map((value, i) => value + (sign * step * gradient[i]!) / norm),
            weight.shape,
          ),
        )
        return loss().item()
      }
      const slope = ((await at(1)) - (await at(-1))) / (2 * step)
      replace(model, name, weight)
      expect(Math.abs(slope - norm), name).toBeLessThan(2e-2 * norm)
    }
  })

  it('adds up the gradients of the token embedding, which is input and output', async () => {
    const model = make()
    const embedding = model.tokenEmbedding.weight
    const { gradients } = valueAndGrad(model.parameters(), () => crossEntropy(model.forward(tokens), targets))
    const asOutput = grad((weight: Tensor) => {
      const logits = model.hidden(tokens).stopGradient().matmul(weight.transpose())
      return crossEntropy(logits, targets)
    })(embedding)
    const [both, output] = await Promise.all([gradients['tokenEmbedding.weight']!.data(), asOutput.data()])
    // Token 8 is neither read nor a target: only the output embedding has a gradient. Token 5 is read as well.
    const row = (values: ArrayLike<number>, token: number) => Array.from(values).slice(token * 8, (token + 1) * 8)
    row(both, 8).forEach((value, i) => {
      expect(value).toBeCloseTo(row(output, 8)[i]!, 6)
    })
    expect(row(both, 5)).not.toEqual(row(output, 5))
  })

  it('drops activations while training only, and differently each time', async () => {
    const model = make({ dropout: 0.5 })
    const run = async () => Array.from(await model.forward(tokens).data())
    expect(await run()).not.toEqual(await run())
    model.eval()
    expect(await run()).toEqual(await run())
  })

  it('makes the same weights of the same key, different ones in each place', async () => {
    const [a, b] = [make(), make()]
    const seen = new Set<number>()
    for (const [name, weight] of namedTensors(a)) {
      const values = await weight.data()
      expect(values).toEqual(await namedTensors(b).get(name)!.data())
      if (weight.rank === 2) {
        expect(seen.has(values[0]!), name).toBe(false)
        seen.add(values[0]!)
      }
    }
  })

  it('refuses text that is longer than the block, and tokens without a batch', () => {
    expect(() => make().forward(tensor(new Int32Array(7), [1, 7]))).toThrow(
      'time up to the block size 6, got [1, 7]. Cut the text',
    )
    expect(() => make().forward(tensor(new Int32Array(7)))).toThrow('takes tokens of shape [batch, time]')
  })
})

function replace(model: Gpt, name: string, value: Tensor): void {
  const path = name.split('.')
  // biome-ignore lint/suspicious/noExplicitAny: walks a tree by the parts of a name.
  const owner = path.slice(0, -1).reduce((place: any, key) => place[key], model)
  owner[path.at(-1)!] = value
}
