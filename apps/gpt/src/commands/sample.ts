import { generate, type WeightFormat } from '@tessera/models-gpt'
import { peakMemoryBytes } from '../memory.ts'
import { readModel } from '../model-file.ts'
import { makeFolderOf } from '../run-folder.ts'
import { openRuntime, type RuntimeChoice } from '../runtime.ts'
import { endTokenOf } from '../tokenizers.ts'
import { writeJson } from '../write-json.ts'

export interface SampleCommandOptions extends RuntimeChoice {
  readonly checkpoint: string
  readonly prompt: string
  readonly tokens: number
  readonly temperature: number
  readonly topK?: number
  readonly topP?: number
  readonly stop: readonly string[]
  readonly seed: number
  readonly count: number
  readonly weights: WeightFormat
  readonly json?: string
}

/** `tessera-gpt sample`: one sample is printed as it is made, several when all are complete. */
export async function sampleCommand(options: SampleCommandOptions): Promise<void> {
  const { prompt, count, tokens, temperature, topK, topP, stop, seed, weights } = options
  const { model, tokenizer } = await readModel(options.checkpoint)
  await makeFolderOf(options.json)
  const runtime = await openRuntime(options)
  try {
    const endToken = endTokenOf(tokenizer)
    const pieces = generate(model, tokenizer, prompt, {
      ...{ tokens, temperature, seed, samples: count, stop, weights },
      ...(topK !== undefined && { topK }),
      ...(topP !== undefined && { topP }),
      ...(endToken !== undefined && { endToken }),
    })
    const texts = new Array<string>(count).fill('')
    let made = 0
    const began = performance.now()
    for await (const { sample, text } of pieces) {
      if (count === 1) process.stdout.write(made === 0 ? prompt + text : text)
      texts[sample] += text
      made++
    }
    const seconds = (performance.now() - began) / 1000
    if (count === 1) process.stdout.write('\n')
    else console.log(texts.map((text, i) => `--- sample ${i + 1} ---\n${prompt}${text}`).join('\n\n'))
    await writeJson(options.json, {
      ...{ prompt, texts, seed, weights, tokens: made, seconds, tokensPerSecond: made / seconds },
      peakMemoryBytes: peakMemoryBytes(),
      backend: runtime.device.backend,
      variant: runtime.device.variant,
      threads: runtime.device.threads,
    })
  } finally {
    await runtime.close()
  }
}
