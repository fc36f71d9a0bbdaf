import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { readSafetensorsFile } from '@tessera/nn/node'
import { describe, expect, it, vi } from 'vitest'
import { exampleText, runProgram, temporaryFolder, tiny, writeExample } from './testing.ts'

const timeout = 120_000
const folder = temporaryFolder()
const data = writeExample(folder)
const run = join(folder, 'run')
const checkpoint = join(run, 'checkpoint.safetensors')
const json = join(folder, 'figures', 'run.json')
const trained = await runProgram(['train', ...tiny, '--data', data, '--steps', '5', '--out', run, '--json', json])

const readJson = (path: string) => JSON.parse(readFileSync(path, 'utf8'))

/** The tensors of a checkpoint as bytes; what it says of times differs from run to run. */
async function tensorsOf(path: string): Promise<Record<string, Uint8Array>> {
  return Object.fromEntries([...(await readSafetensorsFile(path)).tensors].map(([name, { bytes }]) => [name, bytes]))
}

describe('tessera-gpt train', () => {
  it('trains, prints the validation loss and a sample, and writes checkpoint, loss curve and figures', () => {
    expect(trained).toMatchObject({ code: 0 })
    expect(trained.stdout).toContain(
      'Model: GPT of 3,632 parameters (1 layers, 2 heads, 16 wide, block 16), preset quick',
    )
    expect(trained.stdout).toMatch(/Validation loss: \d\.\d{4} nats a token \(2 batches\), after 5 of 5 steps/)
    expect(trained.stdout).toMatch(/--- sample 1 ---\n[a-z \n]{300}\n/)
    expect(trained.stderr).toMatch(/step 5\/5 \(100 %\), loss \d\.\d{4}, validation \d\.\d{4}/)
    expect(readFileSync(join(run, 'loss.svg'), 'utf8')).toMatch(/^<svg/)
    expect(existsSync(checkpoint)).toBe(true)
  })

  it('writes figures that agree with what it prints', () => {
    const figures = readJson(json)
    expect(figures).toMatchObject({
      parameters: 3632,
      steps: 5,
      seed: 1337,
      backend: 'reference',
      threads: 1,
      interrupted: false,
    })
    expect(trained.stdout).toContain(`Validation loss: ${figures.validationLoss.toFixed(4)} nats`)
    expect(figures.evaluations.at(-1)).toEqual({ step: 5, loss: figures.validationLoss })
    expect(figures.tokensPerSecond).toBeCloseTo((1000 * 2 * 16) / figures.msPerStep, 6)
    expect(figures.peakMemoryBytes).toBeGreaterThanOrEqual(figures.residentMemory.maximumBytes)
    expect(figures.residentMemory.firstBytes).toBeGreaterThan(1e7)
    expect(typeof figures.variant).toBe('string')
  })

  it(
    'trains with sparse attention and recomputed blocks, and compares them with dense attention',
    async () => {
      const options = ['--attention', 'strided:4', '--recompute', '--steps', '2', '--samples', '0']
      const sparse = await runProgram(['train', ...tiny, '--data', data, ...options, '--out', join(folder, 'sparse')])
      expect(sparse).toMatchObject({ code: 0 })
      expect(sparse.stdout).toMatch(/Attention: strided 4: 164 scores a sequence, dense 272/)
    },
    timeout,
  )

  it(
    'saves at Ctrl-C, and goes on so that it ends exactly like a run that was not stopped',
    async () => {
      const options = [
        ...tiny,
        '--data',
        data,
        '--steps',
        '150',
        '--dropout',
        '0.1',
        '--evaluate-every',
        '10',
        '--samples',
        '0',
      ]
      const [whole, stopped] = [join(folder, 'whole'), join(folder, 'stopped')]
      expect(await runProgram(['train', ...options, '--out', whole])).toMatchObject({ code: 0 })
      let interrupted = false
      const first = await runProgram(['train', ...options, '--out', stopped], (stderr, child) => {
        if (!interrupted && stderr.includes('step 20/')) interrupted = child.kill('SIGINT')
      })
      const file = join(stopped, 'checkpoint.safetensors')
      expect(first.stderr).toContain('Saving after this step.')
      expect(first.stdout).toContain(`Go on with the run: tessera-gpt train --resume ${file}`)
      expect(first.code).toBe(130)
      const second = await runProgram(['train', '--backend', 'reference', '--resume', file, '--samples', '0'])
      expect(second).toMatchObject({ code: 0 })
      expect(second.stdout).toMatch(/Steps: (2\d|[3-9]\d|1\d\d) made, 150 of 2 × 16 tokens/)
      expect(await tensorsOf(file)).toEqual(await tensorsOf(join(whole, 'checkpoint.safetensors')))
    },
    timeout,
  )

  it(
    'takes gzip and byte pairs, and gives each run a new folder',
    async () => {
      const zipped = writeExample(folder, 'zipped.txt.gz', gzipSync(exampleText()))
      const options = ['train', ...tiny, '--data', zipped, '--tokenizer', 'bpe:280', '--steps', '2', '--samples', '0']
      const figures = join(folder, 'zipped.json')
      const result = await runProgram([...options, '--json', figures, '--out', join(folder, 'zipped')])
      expect(result).toMatchObject({ code: 0 })
      expect(readJson(figures)).toMatchObject({
        tokenizer: { name: 'byte-pair', vocabularySize: 280 },
        data: { characters: exampleText().length },
      })
    },
    timeout,
  )
})

describe('the wasm backend', () => {
  it.each(['plain', undefined])(
    'trains to the losses of the reference, variant %s',
    async (variant) => {
      const file = join(folder, `wasm-${variant}.json`)
      const options = [
        '--data',
        data,
        '--steps',
        '5',
        '--samples',
        '0',
        '--json',
        file,
        '--out',
        join(folder, `wasm-${variant}`),
      ]
      const backend = ['--backend', 'wasm', ...(variant === undefined ? [] : ['--variant', variant])]
      const result = await runProgram(['train', ...tiny, ...backend, ...options])
      expect(result).toMatchObject({ code: 0 })
      const [figures, expected] = [readJson(file), readJson(json)]
      expect(figures.backend).toBe('wasm')
      if (variant !== undefined) expect(figures.variant).toBe(variant)
      expect(figures.validationLoss).toBeCloseTo(expected.validationLoss, 4)
      expect(figures.trainingLoss).toBeCloseTo(expected.trainingLoss, 4)
    },
    timeout,
  )
})

/** The software driver that comes with Debian's Chromium; continuous integration installs it. */
const swiftShader = '/usr/lib/chromium/vk_swiftshader_icd.json'

describe.skipIf(!existsSync(swiftShader) && !process.env.CI)('the webgpu backend', () => {
  it(
    'trains to the losses of the reference, writes its checkpoint and samples from it',
    async () => {
      vi.stubEnv('VK_ICD_FILENAMES', swiftShader)
      const file = join(folder, 'webgpu.json')
      const out = join(folder, 'webgpu')
      const options = ['--data', data, '--steps', '5', '--samples', '0', '--json', file, '--out', out]
      expect(await runProgram(['train', ...tiny, '--backend', 'webgpu', ...options])).toMatchObject({ code: 0 })
      const [figures, expected] = [readJson(file), readJson(json)]
      expect(figures.backend).toBe('webgpu')
      expect(figures.validationLoss).toBeCloseTo(expected.validationLoss, 4)
      expect(figures.trainingLoss).toBeCloseTo(expected.trainingLoss, 4)

      const sampling = ['--checkpoint', join(out, 'checkpoint.safetensors'), '--tokens', '8', '--temperature', '0']
      const sampled = await runProgram(['sample', '--backend', 'webgpu', ...sampling])
      const reference = await runProgram(['sample', '--backend', 'reference', ...sampling])
      expect(sampled).toMatchObject({ code: 0 })
      expect(sampled.stdout).toBe(reference.stdout)
    },
    timeout,
  )
})

describe('tessera-gpt sample', () => {
  const sample = (...args: string[]) =>
    runProgram(['sample', '--backend', 'reference', '--checkpoint', checkpoint, '--tokens', '40', ...args])

  it(
    'continues a prompt, the same for the same seed',
    async () => {
      const results = await Promise.all([
        sample('--prompt', 'the cat', '--seed', '1'),
        sample('--prompt', 'the cat', '--seed', '1'),
        sample('--prompt', 'the cat', '--seed', '2'),
      ])
      for (const { code, stdout } of results) {
        expect(code).toBe(0)
        expect(stdout).toMatch(/^the cat[a-z \n]{40}\n$/)
      }
      expect(results[0]!.stdout).toBe(results[1]!.stdout)
      expect(results[0]!.stdout).not.toBe(results[2]!.stdout)
    },
    timeout,
  )

  it(
    'writes several texts, with figures',
    async () => {
      const file = join(folder, 'samples.json')
      const { stdout } = await sample(
        '--prompt',
        'on a ',
        '--count',
        '2',
        '--temperature',
        '1.5',
        '--top-k',
        '5',
        '--top-p',
        '0.9',
        '--json',
        file,
      )
      const { texts } = readJson(file)
      expect(stdout).toBe(`--- sample 1 ---\non a ${texts[0]}\n\n--- sample 2 ---\non a ${texts[1]}\n`)
      expect(texts[0]).not.toBe(texts[1])
    },
    timeout,
  )
})

describe('tessera-gpt eval', () => {
  it(
    'measures the loss over a whole part of a text',
    async () => {
      const file = join(folder, 'eval.json')
      const part = async (name: string) => {
        const args = [
          '--backend',
          'reference',
          '--checkpoint',
          checkpoint,
          '--data',
          data,
          '--part',
          name,
          '--json',
          file,
        ]
        const { code, stdout } = await runProgram(['eval', ...args])
        expect(code).toBe(0)
        const figures = readJson(file)
        expect(stdout).toContain(`Loss: ${figures.loss.toFixed(4)} nats a token`)
        return figures
      }
      const validation = await part('validation')
      const length = Math.ceil(exampleText().length / 10)
      expect(validation.tokens).toBe(16 * Math.floor((length - 1) / 16))
      // A character is a token here, so that bits and nats tell the same.
      expect(validation.bitsPerCharacter).toBeCloseTo(validation.loss / Math.LN2, 10)
      // Five steps teach little: about as much as that 16 characters occur.
      expect(Math.abs(validation.loss - Math.log(16))).toBeLessThan(0.5)
      expect((await part('all')).tokens).toBeGreaterThan(9 * validation.tokens)
    },
    timeout,
  )
})

describe('tessera-gpt --help', () => {
  it(
    'names every option with its default',
    async () => {
      const { stdout } = await runProgram(['train', '--help'])
      for (const text of [
        '--learning-rate',
        '--minimum-learning-rate',
        '--resume',
        'nanogpt-cpu',
        'quick (default)',
        '(default: Moby-Dick)',
        'weight decay 0.1',
      ]) {
        expect(stdout.replace(/\s+/g, ' ')).toContain(text)
      }
      expect((await runProgram(['--help'])).stdout).toContain('eval')
    },
    timeout,
  )
})
