import { randomKey, tensor } from '@tessera/core'
import { type CheckpointMetadata, captureCheckpoint, decodeCheckpoint, encodeCheckpoint } from '@tessera/nn'
import { expect, it } from 'vitest'
import { CharacterTokenizer } from '../tokenizers/index.ts'
import { gptFromCheckpoint, gptMetadata } from './checkpoint.ts'
import { gptConfiguration } from './configuration.ts'
import { Gpt } from './model.ts'

const tokenizer = CharacterTokenizer.fromText('to be or not')
const configuration = gptConfiguration({
  layers: 2,
  heads: 2,
  width: 8,
  blockSize: 4,
  vocabularySize: tokenizer.vocabularySize,
  dropout: 0.1,
})
const model = new Gpt(configuration, randomKey(4)).eval()
const checkpoint = await captureCheckpoint({ model }, { step: 7, ...gptMetadata({ model, tokenizer }) })
const changed = (metadata: object) => ({
  ...checkpoint,
  metadata: { ...checkpoint.metadata, ...metadata } as CheckpointMetadata,
})

it('makes the model and the tokenizer again from the bytes of a checkpoint', async () => {
  const back = gptFromCheckpoint(decodeCheckpoint(encodeCheckpoint(checkpoint)))
  const tokens = tensor(back.tokenizer.encode('tone'), [1, 4])
  expect(back.model.configuration).toEqual(configuration)
  expect(await back.model.eval().forward(tokens).data()).toEqual(await model.forward(tokens).data())
})

it('refuses checkpoints that do not describe a GPT, or another one', () => {
  expect(() => gptFromCheckpoint({ ...checkpoint, metadata: { step: 1 } })).toThrow(
    'has no configuration of a GPT in its metadata',
  )
  const { tokenizer: _, ...without } = checkpoint.metadata
  expect(() => gptFromCheckpoint({ ...checkpoint, metadata: without as CheckpointMetadata })).toThrow(
    'has no tokenizer',
  )
  expect(() => gptFromCheckpoint(changed({ configuration: { ...configuration, layers: 5000 } }))).toThrow(
    'tensors for 5000 layers, so it is damaged',
  )
  expect(() => gptFromCheckpoint(changed({ configuration: { ...configuration, layers: 3 } }))).toThrow(
    /it lacks model\.blocks\.2/,
  )
  expect(() => gptFromCheckpoint(changed({ configuration: { ...configuration, width: 16 } }))).toThrow(
    'model.tokenEmbedding.weight is f32[7, 8] in the checkpoint and f32[7, 16] here',
  )
  const larger = CharacterTokenizer.fromText('a larger alphabet').toJSON()
  expect(() => gptFromCheckpoint(changed({ tokenizer: larger }))).toThrow(
    "The checkpoint's tokenizer has 10 tokens, its model 7",
  )
  expect(() => gptFromCheckpoint(changed({ tokenizer: { kind: 'none' } }))).toThrow('tokenizer JSON: format is')
})
