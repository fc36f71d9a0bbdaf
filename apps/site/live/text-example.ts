import { wasm } from '@tessera/backend-wasm'
import { createRuntime, jit, randomKey, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { CharacterTokenizer, Gpt, generateText, gptConfiguration, textDatasets } from '@tessera/models-gpt'
import { AdamW, crossEntropy } from '@tessera/nn'

const rhyme = `The itsy bitsy spider climbed up the water spout.
Down came the rain and washed the spider out.
Out came the sun and dried up all the rain,
and the itsy bitsy spider climbed up the spout again.
`

/** Trains a small GPT on four lines and lets it go on with one of them. */
export async function run(print: (line: string) => void): Promise<void> {
  const runtime = await createRuntime({ use: [wasm()] })
  const text = rhyme.repeat(8)
  const tokenizer = CharacterTokenizer.fromText(text)
  const { training } = textDatasets(text, tokenizer, { batchSize: 8, blockSize: 32, seed: 1 })
  const { vocabularySize } = tokenizer
  const sizes = { layers: 2, heads: 4, width: 64, blockSize: 32, vocabularySize }
  const model = new Gpt(gptConfiguration(sizes), randomKey(1))
  const optimizer = new AdamW(model, { learningRate: 3e-3 })
  const step = jit((gpt: Gpt, adam: AdamW, tokens: Tensor, targets: Tensor) => {
    const { value, gradients } = valueAndGrad(gpt, (m) => crossEntropy(m.forward(tokens), targets))
    adam.update(gpt, gradients)
    return value
  })
  for (let i = 0; i <= 300; i++) {
    const { shape, inputs, targets } = training.batch(i)
    const loss = step(model, optimizer, tensor(inputs, shape), tensor(targets, shape))
    if (i % 100 === 0) print(`step ${i}: loss ${(await loss.item()).toFixed(3)}`)
  }
  const start = 'Down came'
  const [continued] = await generateText(model.eval(), tokenizer, start, { tokens: 60, temperature: 0 })
  print(start + continued)
  await runtime.close()
}
