import { tensorsIn } from '@tessera/core'
import { countParameters, type Gpt, splitText, TokenDataset } from '@tessera/models-gpt'
import { evaluationStep } from '@tessera/nn'
import { gptLoss, toTensors } from '../batches.ts'
import { readCorpus } from '../corpus.ts'
import { peakMemoryBytes } from '../memory.ts'
import { readModel } from '../model-file.ts'
import { makeFolderOf } from '../run-folder.ts'
import { openRuntime, type RuntimeChoice } from '../runtime.ts'
import { writeJson } from '../write-json.ts'

export const partNames = ['validation', 'all'] as const

export interface EvaluateCommandOptions extends RuntimeChoice {
  readonly checkpoint: string
  readonly data?: string
  readonly part: (typeof partNames)[number]
  readonly batch: number
  readonly json?: string
}

/** `tessera-gpt eval`: the loss of every token of a text, each seen with the tokens before it in its block. */
export async function evaluateCommand(options: EvaluateCommandOptions): Promise<void> {
  const { model, tokenizer } = await readModel(options.checkpoint)
  const corpus = await readCorpus(options.data)
  const text = options.part === 'all' ? corpus.text : splitText(corpus.text).validation
  const { blockSize } = model.configuration
  const name = options.part === 'all' ? 'text' : 'validation part (the last 10 %) of the text'
  const dataset = new TokenDataset(tokenizer.encode(text), { batchSize: options.batch, blockSize, name })
  await makeFolderOf(options.json)
  const runtime = await openRuntime(options)
  try {
    const began = performance.now()
    const { loss, tokens } = await meanLoss(model, dataset)
    const seconds = (performance.now() - began) / 1000
    const bitsPerCharacter = (loss * dataset.tokens.length) / text.length / Math.LN2
    console.log(
      `Loss: ${loss.toFixed(4)} nats a token (perplexity ${Math.exp(loss).toFixed(3)}, ${bitsPerCharacter.toFixed(4)} bits a character) ` +
        `over ${tokens.toLocaleString('en')} tokens in ${seconds.toFixed(1)} s`,
    )
    await writeJson(options.json, {
      ...{ loss, perplexity: Math.exp(loss), bitsPerCharacter, tokens, seconds, part: options.part },
      parameters: countParameters(model.configuration),
      peakMemoryBytes: peakMemoryBytes(),
      backend: runtime.device.backend,
      variant: runtime.device.variant,
      threads: runtime.device.threads,
    })
  } finally {
    await runtime.close()
  }
}

/** Every sequence counts by its tokens: the last batch may have fewer. */
async function meanLoss(model: Gpt, dataset: TokenDataset): Promise<{ loss: number; tokens: number }> {
  const step = evaluationStep(gptLoss)
  let total = 0
  let tokens = 0
  for (const batch of dataset.evaluationBatches()) {
    const tensors = toTensors(batch)
    const loss = step(model, tensors)
    total += (await loss.item()) * batch.inputs.length
    tokens += batch.inputs.length
    for (const tensor of [loss, ...tensorsIn(tensors)]) tensor.dispose()
  }
  return { loss: total / tokens, tokens }
}
