import { wasm } from '@tessera/backend-wasm'
import { createRuntime, randomKey } from '@tessera/core'
import { Gpt, generateTokens, gptConfiguration } from '@tessera/models-gpt'

async function firstToken() {
  await createRuntime({ use: [wasm({ threads: 1 })] })
  const sizes = { layers: 4, heads: 4, width: 128, blockSize: 64, vocabularySize: 65 }
  const model = new Gpt(gptConfiguration(sizes), randomKey(1))
  for await (const [token] of generateTokens(model, [1, 2, 3], { tokens: 1 })) {
    if (!(token >= 0 && token < 65)) throw new Error(`the model gave token ${token}`)
    return { sinceNavigation: performance.now() }
  }
}

globalThis.result = firstToken()
