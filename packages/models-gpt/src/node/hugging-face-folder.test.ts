import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomKey, tensor } from '@tessera/core'
import { expect, it, onTestFinished } from 'vitest'
import { gptConfiguration } from '../gpt/configuration.ts'
import { Gpt } from '../gpt/model.ts'
import { trainBytePairTokenizer } from '../tokenizers/index.ts'
import { isHuggingFaceFolder, readHuggingFaceGpt, writeHuggingFaceGpt } from './hugging-face-folder.ts'

const tokenizer = trainBytePairTokenizer('low lower lowest', { vocabularySize: 260 })
const model = new Gpt(
  gptConfiguration({ layers: 1, heads: 1, width: 4, blockSize: 8, vocabularySize: tokenizer.vocabularySize }),
  randomKey(0),
)

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tessera-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  return folder
}

it('writes a folder and reads it again', async () => {
  const folder = join(await temporaryFolder(), 'gpt')
  expect(await isHuggingFaceFolder(folder)).toBe(false)
  await writeHuggingFaceGpt(folder, model, tokenizer)
  expect(await isHuggingFaceFolder(folder)).toBe(true)
  const back = await readHuggingFaceGpt(folder)
  const tokens = back.tokenizer.encode('slower')
  expect(tokens).toEqual(tokenizer.encode('slower'))
  const batch = tensor(tokens, [1, tokens.length])
  expect(await back.model.forward(batch).data()).toEqual(await model.forward(batch).data())
})

it('names the file that is missing', async () => {
  const folder = await temporaryFolder()
  await writeHuggingFaceGpt(folder, model)
  await expect(readHuggingFaceGpt(folder)).rejects.toThrow(
    /vocab\.json could not be read: ENOENT.*A folder of a GPT-2 holds config\.json, model\.safetensors/,
  )
})
