import { type GptWithTokenizer, gptFromCheckpoint } from '@tessera/models-gpt'
import { isHuggingFaceFolder, readHuggingFaceGpt } from '@tessera/models-gpt/node'
import { loadCheckpoint } from '@tessera/nn/node'

/** Reads a model: a checkpoint of `train`, or a folder with a GPT-2 of Hugging Face. */
export async function readModel(path: string): Promise<GptWithTokenizer> {
  const found = (await isHuggingFaceFolder(path))
    ? await readHuggingFaceGpt(path)
    : gptFromCheckpoint(await loadCheckpoint(path))
  found.model.eval()
  return found
}
