import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gptFromCheckpoint, gptMetadata } from '@tessera/models-gpt'
import { captureCheckpoint } from '@tessera/nn'
import { loadCheckpoint, saveCheckpoint } from '@tessera/nn/node'
import { describe, expect, it } from 'vitest'
import { type Finished, runProgram, runWithFileLimit, temporaryFolder, tiny, writeExample } from './testing.ts'

const timeout = 120_000
const folder = temporaryFolder()
const data = writeExample(folder)
const run = join(folder, 'run')
const checkpoint = join(run, 'checkpoint.safetensors')
await runProgram(['train', ...tiny, '--data', data, '--steps', '4', '--out', run, '--samples', '0'])
const good = readFileSync(checkpoint)
const file = (name: string) => join(folder, name)
const reference = ['--backend', 'reference']

/** One paragraph on standard error, exit code 1, no stack trace, and the earlier run as it was. */
function expectRefused({ code, stderr }: Finished, message: string | RegExp): void {
  const last = stderr.trimEnd().split('\n').at(-1)!
  if (typeof message === 'string') expect(last).toContain(message)
  else expect(last).toMatch(message)
  expect(last).toMatch(/^(tessera-gpt|error): /)
  expect(stderr).not.toMatch(/^\s+at /m)
  expect(code).toBe(1)
  expect(readFileSync(checkpoint).equals(good)).toBe(true)
}

describe('bad data', () => {
  it.each([
    ['a missing file', file('none.txt'), /none\.txt does not exist\. Check the path/],
    ['an empty file', writeExample(folder, 'empty.txt', ''), 'the file has 0 bytes and no text'],
    [
      'a binary file',
      writeExample(folder, 'binary.txt', Uint8Array.of(104, 105, 0, 1)),
      'the byte at offset 2 is 0, so this is a binary file',
    ],
    [
      'text that is not UTF-8',
      writeExample(folder, 'latin.txt', Uint8Array.of(99, 97, 102, 0xe9)),
      'the byte at offset 3 (0xe9) is not UTF-8',
    ],
    [
      'too short a text',
      writeExample(folder, 'short.txt', 'to be or not to be'),
      'training text: there are 16 tokens, but a block of 16 and the token after it need 17',
    ],
    [
      'a damaged gzip file',
      writeExample(folder, 'cut.gz', Uint8Array.of(0x1f, 0x8b, 8, 0, 0)),
      'the gzip data are damaged',
    ],
    ['a folder', folder, 'is a folder. Give the path of a text file'],
  ])(
    '%s',
    async (_, path, message) => {
      expectRefused(await runProgram(['train', ...tiny, '--data', path, '--out', file('new')]), message)
      expect(existsSync(file('new'))).toBe(false)
    },
    timeout,
  )
})

describe('bad settings', () => {
  it.each([
    [
      ['--width', '17'],
      'width 17 does not divide into 2 heads. Take a width that is a multiple of 2, for example 16 or 18',
    ],
    [['--backend', 'tpu'], "argument 'tpu' is invalid. Allowed choices are wasm, webgpu, reference."],
    [['--preset', 'gpt5'], "argument 'gpt5' is invalid. Allowed choices are quick, nanogpt-cpu, gpt2"],
    [['--steps', '2.5'], "argument '2.5' is invalid. Expected a whole number from 1 up."],
    [['--learning-rate', 'fast'], "argument 'fast' is invalid. Expected a number above 0."],
    [['--tokenizer', 'words'], "The tokenizer 'words' is not known. Choose character, bpe, bpe:SIZE or gpt2."],
    [['--tokenizer', 'bpe:100'], 'A byte-pair tokenizer of 100 tokens is too small'],
    [['--steps', '10', '--warmup', '10'], 'The warm-up of 10 steps takes all of the 10 steps'],
    [
      ['--learning-rate', '1e-4', '--minimum-learning-rate', '1e-3'],
      'The minimum learning rate 0.001 is above the learning rate 0.0001',
    ],
    [['--variant', 'wide'], '--variant chooses code of the wasm backend'],
    [['--out', run], 'is the checkpoint of an earlier run. Go on with it: --resume'],
    [['--json', join(data, 'figures.json')], 'cannot be made'],
    [['surplus'], "too many arguments for 'train'"],
    [['--colour'], "unknown option '--colour'"],
  ])(
    '%j',
    async (options, message) => {
      const out = options.includes('--out') ? [] : ['--out', file('settings')]
      expectRefused(await runProgram(['train', ...tiny, '--data', data, ...out, ...options]), message)
    },
    timeout,
  )
})

describe('a bad checkpoint', () => {
  const header = (bytes: Uint8Array, length: bigint) => {
    const copy = Uint8Array.from(bytes)
    new DataView(copy.buffer).setBigUint64(0, length, true)
    return copy
  }

  it.each([
    ['none', undefined, 'no such file or directory'],
    ['truncated', good.subarray(0, good.length - 100), 'safetensors'],
    ['a lying header', header(good, 10n), 'safetensors'],
    ['a header longer than the file', header(good, 90_000_000n), 'the header should have 90000000 bytes'],
    ['no safetensors at all', Buffer.from('hello'), 'the file has 5 bytes'],
  ])(
    '%s',
    async (name, bytes, message) => {
      const path = file(`${name}.safetensors`)
      if (bytes) writeFileSync(path, bytes)
      for (const command of [
        ['sample', '--checkpoint'],
        ['train', '--resume'],
      ]) {
        expectRefused(await runProgram([...command, path, ...reference]), message)
      }
    },
    timeout,
  )

  it(
    'wrong shapes, missing tensors, no metadata of a run',
    async () => {
      const stored = await loadCheckpoint(checkpoint)
      const tensors = new Map(stored.tensors)
      tensors.delete('model.finalNorm.gain')
      await saveCheckpoint(file('missing.safetensors'), { ...stored, tensors })
      expectRefused(
        await runProgram(['sample', '--checkpoint', file('missing.safetensors'), ...reference]),
        /it lacks model\.finalNorm\.gain/,
      )

      const { model, tokenizer } = gptFromCheckpoint(stored)
      const metadata = {
        ...gptMetadata({ model, tokenizer }),
        configuration: { ...model.configuration, width: 32, headWidth: 16 },
      }
      await saveCheckpoint(file('shapes.safetensors'), await captureCheckpoint({ model }, { step: 4, ...metadata }))
      expectRefused(
        await runProgram(['eval', '--checkpoint', file('shapes.safetensors'), '--data', data, ...reference]),
        /model\.tokenEmbedding\.weight is f32\[16, 16\] in the checkpoint and f32\[16, 32\] here/,
      )

      await saveCheckpoint(
        file('bare.safetensors'),
        await captureCheckpoint({ model }, { step: 4, ...gptMetadata({ model, tokenizer }) }),
      )
      expectRefused(
        await runProgram(['train', '--resume', file('bare.safetensors'), ...reference]),
        /The checkpoint does not say how the run was made: its tokenizer is undefined/,
      )
    },
    timeout,
  )
})

describe('a resume that cannot be', () => {
  it.each([
    [['--width', '32', '--learning-rate', '1'], 'so --width, --learning-rate cannot be given'],
    [[], 'is complete: it has made 4 of 4 steps. Give a larger number of --steps.'],
    [
      ['--steps', '6', '--data', writeExample(folder, 'other.txt', `${readFileSync(data, 'utf8')} more`)],
      'is not the one that the run was made with',
    ],
  ])(
    '%j',
    async (options, message) => {
      expectRefused(await runProgram(['train', '--resume', checkpoint, ...reference, ...options]), message)
    },
    timeout,
  )
})

describe('trouble on the way', () => {
  it(
    'a loss that is not finite ends the run and leaves its last checkpoint',
    async () => {
      const out = file('diverged')
      // Weight decay then multiplies the weights by about −1,000 at each step, until they overflow.
      const rates = ['--learning-rate', '1e4', '--minimum-learning-rate', '1e4', '--warmup', '0']
      const options = ['--data', data, '--out', out, '--steps', '100', '--evaluate-every', '2', ...rates]
      const result = await runProgram(['train', ...tiny, ...options])
      expectRefused(
        result,
        /Training stopped at step \d+: the (validation )?loss is .* Lower the learning rate.* The checkpoint of step \d+ in \S+ is intact: resume from it\.$/,
      )
      expect((await loadCheckpoint(join(out, 'checkpoint.safetensors'))).metadata.step).toBeGreaterThan(0)
    },
    timeout,
  )

  it.skipIf(process.platform === 'win32')(
    'a disk without room keeps the last checkpoint',
    async () => {
      const copy = file('small-disk.safetensors')
      writeFileSync(copy, good)
      const blocks = Math.floor(good.length / 512 / 2)
      const result = await runWithFileLimit(blocks, ['train', '--resume', copy, '--steps', '6', ...reference])
      expectRefused(result, /small-disk\.safetensors could not be written: .*What the path held before is unchanged/)
      expect(readFileSync(copy).equals(good)).toBe(true)
    },
    timeout,
  )

  it(
    'a prompt with a character that the text did not have',
    async () => {
      expectRefused(
        await runProgram(['sample', '--checkpoint', checkpoint, '--prompt', 'a€', ...reference]),
        /the character "€" \(U\+20AC\) at index 1 is not among the 16 characters/,
      )
    },
    timeout,
  )
})
