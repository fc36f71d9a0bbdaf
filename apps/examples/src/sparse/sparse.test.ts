import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { wasm } from '@tessera/backend-wasm'
import { createRuntime, randomKey, tensor } from '@tessera/core'
import { fixedHeads, strided } from '@tessera/kernel-sparse-attention'
import { sparseAttentionWasm } from '@tessera/kernel-sparse-attention/wasm'
import { SparseTransformer, SparseTransformerDecoder, sparseTransformerPreset } from '@tessera/models-gpt'
import { Dataset, decodeImage, decodeWav, encodeWav } from '@tessera/nn/data'
import { checkpointFile } from '@tessera/nn/node'
import { zipSync } from 'fflate'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { progressLine } from '../download.ts'
import { makeProgram } from '../program.ts'
import { makeMusic } from './music.ts'
import { type RunOptions, trainOne } from './run.ts'
import { downloadEnwik8, imageSequences, pieces, readAudio, readTextBytes } from './sequences.ts'
import { type AttentionRun, attentionTable } from './table.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tessera-sparse-'))
})
afterAll(() => rm(folder, { recursive: true }))

const bytes = Uint8Array.from({ length: 2000 }, (_, i) => (i * i + (i >> 3)) % 7)

describe('sequences', () => {
  it('are pieces of the first 90 % that begin elsewhere in each epoch, and of the last 5 %', async () => {
    const { training, test } = pieces(
      'counting',
      Uint8Array.from({ length: 1000 }, (_, i) => i % 256),
      20,
    )
    expect([training.length, test.length]).toEqual([44, 2])
    expect((await test.at(1)).slice(0, 2)).toEqual(Int32Array.of(970 % 256, 971 % 256))
    const starts = await Promise.all([0, 1, 2].map(async (epoch) => (await training.at(0, epoch))[0]!))
    expect(new Set(starts).size).toBeGreaterThan(1)
    expect((await training.at(43, 2)).length).toBe(20)
    expect(() => pieces('short', new Uint8Array(300), 20)).toThrow(
      'short has 300 bytes, too few for sequences of 20: 400',
    )
  })

  it('of images hold the colours of a pixel side by side', async () => {
    const data = Uint8Array.from({ length: 3072 }, (_, i) => i % 251)
    const images = Dataset.of([{ image: { data, shape: [3, 32, 32] }, label: { data: Int32Array.of(0), shape: [] } }])
    const { training } = imageSequences({ name: 'one', training: images, test: images })
    const raster = await training.at(0)
    expect([...raster.slice(3, 6)]).toEqual([data[1], data[1025], data[2049]])
    expect(raster.at(-1)).toBe(data[3071])
  })

  it('of text come from files, gzip or not', async () => {
    const path = join(folder, 'text')
    await writeFile(path, gzipSync(bytes))
    expect([...(await readTextBytes({ data: path })).bytes]).toEqual([...bytes])
    await writeFile(path, bytes)
    expect([...(await readTextBytes({ data: path })).bytes]).toEqual([...bytes])
  })

  it('of enwik8 come by a download, which is checked and kept', async () => {
    const target = join(folder, 'enwik8')
    const md5 = createHash('md5').update(bytes).digest('hex')
    let requests = 0
    const get = (async () => {
      requests++
      return new Response(zipSync({ enwik8: bytes }) as BodyInit)
    }) as typeof fetch
    const url = 'https://example.org/enwik8.zip'
    await expect(downloadEnwik8(target, { url, md5: '0'.repeat(32) }, get)).rejects.toThrow(
      /MD5 sum [0-9a-f]{32}, expected 0{32}/,
    )
    expect([...(await downloadEnwik8(target, { url, md5 }, get))]).toEqual([...bytes])
    expect([...(await downloadEnwik8(target, { url, md5 }, get))]).toEqual([...bytes])
    expect(requests).toBe(2)
    const offline = (async () => {
      throw new TypeError('fetch failed')
    }) as typeof fetch
    await expect(downloadEnwik8(join(folder, 'none'), { url, md5 }, offline)).rejects.toThrow(
      'enwik8.zip could not be loaded: fetch failed. Try again, or unpack it into',
    )
    expect(progressLine('enwik8', 9e6, 36e6)).toBe(`enwik8  ${'━'.repeat(7)}${'─'.repeat(23)}  25 % of 36.0 MB`)
  })

  it('of sound come from WAV files of one rate, mixed to one channel, or are made', async () => {
    const sounds = join(folder, 'sounds')
    await mkdir(sounds)
    const wave = (sampleRate: number, shape: number[]) =>
      encodeWav({
        samples: { data: Float32Array.of(0.5, 0.5, 0, 0).slice(0, shape[0]! * shape[1]!), shape },
        sampleRate,
      })
    await writeFile(join(sounds, 'b.wav'), await wave(8000, [1, 1]))
    await writeFile(join(sounds, 'a.WAV'), await wave(8000, [2, 2]))
    const { bytes: classes, sampleRate } = await readAudio({ data: sounds })
    expect(sampleRate).toBe(8000)
    // 0.25 twice, then 0.5.
    expect([...classes]).toEqual([223, 223, 239])
    await writeFile(join(sounds, 'c.wav'), await wave(16000, [1, 1]))
    await expect(readAudio({ data: sounds })).rejects.toThrow('c.wav has 16000 samples a second, those before it 8000')
    const [once, again] = [makeMusic({ seconds: 2 }), makeMusic({ seconds: 2 })]
    expect(again).toEqual(once)
    expect(once.samples.every((x) => Math.abs(x) <= 1)).toBe(true)
    expect(once.samples.reduce((sum, x) => sum + x * x, 0) / once.samples.length).toBeGreaterThan(1e-3)
  })
})

it('draws on wasm what a full pass predicts, reading only keys that the patterns show', async () => {
  const runtime = await createRuntime({ use: [wasm({ threads: 1, variant: 'relaxed' }), sparseAttentionWasm()] })
  const attention = [fixedHeads(16, 4, 2), strided(9)]
  const sizes = { layers: 3, heads: 2, width: 16, keyWidth: 6, length: 100, attention }
  const model = new SparseTransformer(sparseTransformerPreset('text-small', sizes), randomKey(3))
  model.output.weight = model.tokenEmbedding.weight.multiply(20).transpose().realize()
  const elements = Int32Array.from({ length: 100 }, (_, i) => (i * i) % 256)
  const full = await model.forward(tensor(elements, [1, 100])).data()
  const decoder = new SparseTransformerDecoder(model)
  let logits = await decoder.begin()
  for (let place = 0; place < 100; place++) {
    if (place > 0) logits = await decoder.append([elements[place - 1]!])
    const off = logits[0]!.reduce((most, value, k) => Math.max(most, Math.abs(value - full[place * 256 + k]!)), 0)
    expect(off).toBeLessThan(1e-3)
  }
  await runtime.close()
})

describe('a run', () => {
  const options = (changes: Partial<RunOptions> = {}): RunOptions => ({
    configuration: sparseTransformerPreset('text-small', {
      layers: 1,
      heads: 2,
      width: 8,
      length: 32,
      dropout: 0.2,
      attention: [strided(8)],
    }),
    sequences: pieces('squares', bytes, 32),
    seed: 1,
    steps: 8,
    batch: 2,
    learningRate: 1e-2,
    tested: 2,
    signal: new AbortController().signal,
    observers: [],
    ...changes,
  })

  it('goes on from its checkpoint as if it had not stopped, and no other one does', async () => {
    const runtime = await createRuntime({ use: [wasm({ threads: 1 }), sparseAttentionWasm()] })
    const whole = await trainOne(options())
    expect(whole.losses).toHaveLength(8)
    expect(whole.losses[0]).toBeCloseTo(Math.log(256), 3)
    expect(whole.bits).toBeLessThan(8)
    const checkpoint = checkpointFile(join(folder, 'run.safetensors'))
    const controller = new AbortController()
    const observer = { onStep: ({ step }: { step: number }) => step === 3 && controller.abort() }
    const part = await trainOne(options({ checkpoint, resume: true, signal: controller.signal, observers: [observer] }))
    expect(part.interrupted).toBe(true)
    expect(part.steps).toBeLessThan(8)
    const rest = await trainOne(options({ checkpoint, resume: true }))
    // Saved ones have seven digits.
    const rounded = (losses: readonly number[]) => losses.map((loss) => loss.toFixed(5))
    expect(rounded(rest.losses)).toEqual(rounded(whole.losses))
    expect(rest.bits).toBe(whole.bits)
    await expect(trainOne(options({ checkpoint, resume: true, seed: 2 }))).rejects.toThrow(
      'Give the same options, or another folder',
    )
    await runtime.close()
  })

  it('takes as many steps as fit into a time', async () => {
    const runtime = await createRuntime({ use: [wasm({ threads: 1 }), sparseAttentionWasm()] })
    const { steps } = await trainOne(options({ minutes: 0.001 }))
    expect(steps).toBeGreaterThan(0)
    expect(steps).toBeLessThan(200)
    await runtime.close()
  })
})

it('compares kinds of attention by intervals over seeds', () => {
  const run = (attention: string, seed: number, bits: number): AttentionRun => ({
    attention,
    seed,
    bits,
    losses: [1],
    steps: 10,
    millisecondsPerStep: 4,
    seconds: 1,
    peakBytes: 2 ** 21,
    interrupted: false,
  })
  const runs = [
    run('dense', 1, 5),
    run('dense', 2, 7),
    run('fixed', 1, 4),
    run('fixed', 2, 6),
    { ...run('fixed', 3, 9), interrupted: true },
  ]
  expect(attentionTable(runs, 'bits per byte').split('\n').slice(2)).toEqual([
    '| dense | 2 | 6.0000 ± 12.7060 |  | 10 | 4 | 1 | 2 |',
    '| fixed | 2 | 5.0000 ± 12.7060 | -1.0000 ± 0.0000 | 10 | 4 | 1 | 2 |',
  ])
})

describe('commands', () => {
  const call = (...args: string[]) => makeProgram().parseAsync(['node', 'tessera-examples', ...args, '--threads', '1'])
  const small = ['--layers', '1', '--heads', '2', '--width', '8', '--batch', '1', '--tested', '1']

  it('sparse-text trains with several kinds of attention and writes texts', async () => {
    const data = join(folder, 'bytes')
    await writeFile(data, bytes)
    const files = ['--svg', join(folder, 'text.svg'), '--json', join(folder, 'text.json'), '--samples', folder]
    const lists = ['--attention', 'dense,strided,fixed:16:2', '--length', '64', '--steps', '3', '--sample-count', '2']
    await call('sparse-text', '--data', data, ...small, ...lists, ...files)
    const { runs, metric } = JSON.parse(await readFile(join(folder, 'text.json'), 'utf8'))
    expect(metric).toBe('bits per byte')
    expect(runs.map(({ attention }: AttentionRun) => attention)).toEqual(['dense', 'strided', 'fixed:16:2'])
    for (const { bits, losses } of runs) expect([losses.length, bits < 8.1]).toEqual([3, true])
    expect(await readFile(join(folder, 'text.svg'), 'utf8')).toMatch(/^<svg/)
    expect(await readFile(join(folder, 'sparse-text-fixed-16-2-1.txt'), 'utf8')).toMatch(
      /^--- sample 1 ---\n[\s\S]*--- sample 2 ---/,
    )
  })

  it('sparse-images writes pictures', async () => {
    await call('sparse-images', ...small, '--steps', '2', '--samples', join(folder, 'pictures'), '--sample-count', '2')
    const [name] = await readdir(join(folder, 'pictures'))
    expect(name).toBe('sparse-images-strided-1.png')
    const { shape } = await decodeImage(await readFile(join(folder, 'pictures', name!)))
    expect(shape).toEqual([3, 36, 70])
  })

  it('sparse-audio writes sounds', async () => {
    const lengths = ['--length', '300', '--steps', '2', '--samples', join(folder, 'waves')]
    await call('sparse-audio', ...small, ...lengths)
    expect((await readdir(join(folder, 'waves'))).sort()).toEqual([
      'sparse-audio-strided-1-1.wav',
      'sparse-audio-strided-1-2.wav',
    ])
    const { samples, sampleRate } = await decodeWav(
      await readFile(join(folder, 'waves', 'sparse-audio-strided-1-1.wav')),
    )
    expect([samples.shape, sampleRate]).toEqual([[1, 300], 12000])
  })

  it('refuse what does not fit before they train', async () => {
    await expect(call('sparse-text', '--attention', 'spiral')).rejects.toThrow('Expected dense, banded[:WIDTH]')
    await expect(call('sparse-text', '--attention', 'dense,strided:2000')).rejects.toThrow(
      'stride 2000 exceeds the length 1024',
    )
    await expect(call('sparse-text', '--attention', 'fixed:16:32')).rejects.toThrow('c ≤ l')
  })
})
