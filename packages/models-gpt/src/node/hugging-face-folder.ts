import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TesseraError } from '@tessera/core'
import type { Gpt } from '../gpt/model.ts'
import { gptFromHuggingFace, gptToHuggingFace } from '../hugging-face/files.ts'
import {
  type BytePairTokenizer,
  bytePairTokenizerFromGpt2Files,
  bytePairTokenizerToGpt2Files,
} from '../tokenizers/index.ts'

const fileNames = {
  config: 'config.json',
  weights: 'model.safetensors',
  vocabulary: 'vocab.json',
  merges: 'merges.txt',
} as const

/**
 * Reads a GPT-2 from a folder with the files of its repository at Hugging Face: `config.json`, `model.safetensors`,
 * `vocab.json` and `merges.txt`.
 *
 * @throws TesseraError `HUGGING_FACE_FOLDER` for a missing file, and what `gptFromHuggingFace` throws
 * @example
 * ```ts no-run
 * const { model, tokenizer } = await readHuggingFaceGpt('gpt2')
 * const [text] = await generateText(model, tokenizer, 'Once upon a time', { tokens: 20 })
 * ```
 */
export async function readHuggingFaceGpt(folder: string): Promise<{ model: Gpt; tokenizer: BytePairTokenizer }> {
  // One after the other: of several files that are missing, the error always names the first.
  const config = await read(folder, fileNames.config)
  const weights = await read(folder, fileNames.weights)
  const vocabulary = await read(folder, fileNames.vocabulary)
  const merges = await read(folder, fileNames.merges)
  return {
    model: gptFromHuggingFace({ config: config.toString(), weights }),
    tokenizer: bytePairTokenizerFromGpt2Files({ vocabulary: vocabulary.toString(), merges: merges.toString() }),
  }
}

/**
 * Writes a model, and its tokenizer if it is of bytes, as a folder that transformers' `GPT2LMHeadModel.from_pretrained` and
 * `GPT2Tokenizer.from_pretrained` read.
 */
export async function writeHuggingFaceGpt(folder: string, model: Gpt, tokenizer?: BytePairTokenizer): Promise<void> {
  const { config, weights } = await gptToHuggingFace(model)
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, fileNames.weights), weights)
  if (tokenizer) {
    const { vocabulary, merges } = bytePairTokenizerToGpt2Files(tokenizer)
    await writeFile(join(folder, fileNames.vocabulary), vocabulary)
    await writeFile(join(folder, fileNames.merges), merges)
  }
  await writeFile(join(folder, fileNames.config), config)
}

/** Whether a path is a folder with a `config.json`. */
export async function isHuggingFaceFolder(path: string): Promise<boolean> {
  return stat(join(path, fileNames.config)).then(
    (stats) => stats.isFile(),
    () => false,
  )
}

async function read(folder: string, name: string): Promise<Buffer> {
  return readFile(join(folder, name)).catch((cause) => {
    throw new TesseraError(
      'HUGGING_FACE_FOLDER',
      `${join(folder, name)} could not be read: ${(cause as Error).message}. A folder of a GPT-2 holds ${Object.values(fileNames).join(', ')}.`,
      { cause },
    )
  })
}
