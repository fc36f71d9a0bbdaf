import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { wasm } from '@tessera/backend-wasm'
import { createRuntime, type FormatPolicy, randomKey, zeros } from '@tessera/core'
import { decodeImage } from '@tessera/nn/data'
import { checkpointFile } from '@tessera/nn/node'
import { flexpoint } from '@tessera/numerics-flexpoint'
import { createTarGzip } from 'nanotar'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeProgram } from '../program.ts'
import { augment, downloadCifar, makeImages, readCifar } from './cifar.ts'
import { formatTable, interval, type Run } from './figures.ts'
import { AlexNet, ResNet } from './networks.ts'
import { policyOf } from './policy.ts'
import { gptTask, type RunContext, type TaskResult } from './task.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tessera-formats-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('networks', () => {
  it('have the published numbers of parameters', () => {
    // He et al. 2016, table 6: 0.27, 0.46 and 1.7 million.
    expect(new ResNet(20, randomKey(0)).parameterCount).toBe(269_722)
    expect(new ResNet(32, randomKey(0)).parameterCount).toBe(464_154)
    expect(new ResNet(110, randomKey(0)).parameterCount).toBe(1_727_962)
    expect(() => new ResNet(21, randomKey(0))).toThrow(/6n \+ 2, such as 20, 32 or 110; got 21/)
  })

  it('give a logit for each class', () => {
    const images = zeros([2, 3, 32, 32], 'u8')
    expect(new AlexNet(0.05, randomKey(0)).forward(images).shape).toEqual([2, 10])
    expect(new ResNet(8, randomKey(0)).forward(images).shape).toEqual([2, 10])
  })
})

describe('images', () => {
  it('come by download, which is checked', async () => {
    const file = (label: number) => Uint8Array.from({ length: 3073 }, (_, i) => (i === 0 ? label : i % 251))
    const archive = await createTarGzip([
      { name: 'cifar-10-batches-bin/data_batch_1.bin', data: file(3) },
      { name: 'cifar-10-batches-bin/readme.html', data: 'about' },
      { name: 'cifar-10-batches-bin/test_batch.bin', data: file(7) },
    ])
    const md5 = createHash('md5').update(archive).digest('hex')
    let requests = 0
    const get = (async () => {
      requests++
      return new Response(archive as BodyInit)
    }) as typeof fetch
    const target = join(folder, 'cifar')
    const url = 'https://example.org/cifar.tar.gz'
    await expect(downloadCifar(target, { url, md5: '0'.repeat(32) }, get)).rejects.toThrow(
      /came with the MD5 sum [0-9a-f]{32}, expected 0{32}. Try again/,
    )
    await downloadCifar(target, { url, md5 }, get)
    await downloadCifar(target, { url, md5 }, get)
    expect(requests).toBe(2)
    expect(await readdir(target)).toEqual(['data_batch_1.bin', 'test_batch.bin'])
    const { training, test } = await readCifar(target)
    expect([training.length, test.length]).toEqual([1, 1])
    expect((await test.at(0)).label.data[0]).toBe(7)
    const missing = (async () => new Response('', { status: 404 })) as typeof fetch
    await expect(downloadCifar(join(folder, 'none'), { url, md5 }, missing)).rejects.toThrow(/the server answers 404/)
  })

  it('are moved and mirrored in the same way for the same seed', async () => {
    const { training } = makeImages(4)
    const [once, again, other] = [augment(training, 1), augment(training, 1), augment(training, 2)]
    const pixels = async (data: typeof once) => [...(await data.at(2)).image.data]
    expect(await pixels(once)).toEqual(await pixels(again))
    expect(await pixels(once)).not.toEqual(await pixels(other))
  })
})

it('gives intervals by Student’s distribution, over pairs of one seed', () => {
  const { mean, half } = interval([1, 2, 3])
  expect(mean).toBe(2)
  expect(half).toBeCloseTo(4.303 / Math.sqrt(3), 3)
  const run = (format: string, seed: number, metric: number): Run => ({
    format,
    seed,
    metric,
    losses: [1],
    millisecondsPerStep: 1,
    parameters: 1,
    interrupted: false,
  })
  const table = formatTable(
    [run('f32', 1, 0.5), run('f32', 2, 0.7), run('f16', 1, 0.6), run('f16', 2, 0.8)],
    'accuracy',
  )
  expect(table).toContain('| f16 | 2 | 1.0000 ± 0.0000 | 0.7000 ± 1.2706 | 0.1000 ± 0.0000 |')
})

describe('commands', () => {
  const call = (...args: string[]) => makeProgram().parseAsync(['node', 'tessera-examples', ...args, '--threads', '1'])
  const figures = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8'))

  it.each([
    ['alexnet', '--width', '0.03', 'flex16+5'],
    ['resnet', '--depth', '8', 'f16'],
  ] as const)('%s trains in several formats and draws them together', async (name, option, size, format) => {
    const files = ['--svg', join(folder, `${name}.svg`), '--json', join(folder, `${name}.json`)]
    await call(name, option, size, '--steps', '3', '--batch', '8', '--format', `f32,${format}`, ...files)
    const { runs, data } = await figures(`${name}.json`)
    expect(data).toBe('made images')
    expect(runs.map((run: Run) => run.format)).toEqual(['f32', format])
    const [plain, narrow] = runs as [Run, Run]
    for (const [i, loss] of plain.losses.entries()) expect(Math.abs(narrow.losses[i]! - loss)).toBeLessThan(0.05)
    if (format === 'flex16+5') expect(narrow.usedBits).toBeGreaterThan(11)
    else expect(narrow.flushedGradients).toBeLessThan(0.5)
    expect(await readFile(join(folder, `${name}.svg`), 'utf8')).toMatch(/^<svg/)
  })

  it('gpt goes on from its checkpoint as if it had not stopped', async () => {
    const runtime = await createRuntime({ use: [wasm({ threads: 1 })] })
    const text = 'to be or not to be, that is the question. '.repeat(40)
    const sizes = { layers: 1, heads: 2, width: 16, block: 8 }
    const task = gptTask(text, { steps: 12, batch: 4, learningRate: 1e-3 }, sizes)
    const checkpoint = checkpointFile(join(folder, 'gpt.safetensors'))
    const run = (format: string, options: Partial<RunContext> = {}) =>
      task.run({
        seed: 1,
        policy: policyOf(format),
        signal: new AbortController().signal,
        observers: [],
        checkpoint: undefined,
        resume: false,
        ...options,
      })
    const whole = await run('flex16+5')
    // As Ctrl-C does.
    const controller = new AbortController()
    const observer = { onStep: ({ step }: { step: number }) => step === 5 && controller.abort() }
    const part = await run('flex16+5', { checkpoint, signal: controller.signal, observers: [observer] })
    expect(part.interrupted).toBe(true)
    expect(part.losses.length).toBeLessThan(12)
    const again = await run('flex16+5', { checkpoint, resume: true })
    const rounded = ({ losses }: TaskResult) => losses.map((loss) => loss.toFixed(4))
    expect(rounded(again)).toEqual(rounded(whole))
    expect(again.metric).toBe(whole.metric)
    await run('f32', { checkpoint })
    await expect(run('flex16+5', { checkpoint, resume: true })).rejects.toThrow(/has no state of the policy flex16\+5/)
    await runtime.close()
  })

  it('gpt with AdamW needs its means of squares wide, and then follows f32', async () => {
    const runtime = await createRuntime({ use: [wasm({ threads: 1 })] })
    const text = 'to be or not to be, that is the question. '.repeat(40)
    const sizes = { layers: 1, heads: 2, width: 32, block: 16 }
    const task = gptTask(text, { steps: 30, batch: 4, learningRate: 1e-3 }, sizes)
    const run = async (policy: FormatPolicy | undefined) => {
      const context = { seed: 1, policy, signal: new AbortController().signal, observers: [], checkpoint: undefined }
      return (await task.run({ ...context, resume: false })).losses
    }
    const plain = await run(undefined)
    const furthest = (losses: readonly number[]) => Math.max(...losses.map((loss, i) => Math.abs(loss - plain[i]!)))
    expect(furthest(await run(flexpoint()))).toBeLessThan(0.01)
    // Small squares become zero, and what is divided by their roots is far too large: no number of exponent bits mends that.
    const rounded = run(flexpoint({ exponentBits: 8, keepsWide: false }))
    expect(await rounded.then(furthest, () => Number.POSITIVE_INFINITY)).toBeGreaterThan(0.1)
    await runtime.close()
  })

  it('wgan writes samples, and goes on from its checkpoint', async () => {
    const run = (steps: string, ...args: string[]) =>
      call('wgan', '--width', '2', '--batch', '4', '--format', 'flex16+5', '--steps', steps, ...args)
    const whole = ['--samples', join(folder, 'samples'), '--json', join(folder, 'gan.json')]
    await run('3', ...whole)
    const saved = ['--save', join(folder, 'gan')]
    await run('2', ...saved)
    await run('3', ...saved, '--resume', '--json', join(folder, 'gan-again.json'))
    const [once, again] = [await figures('gan.json'), await figures('gan-again.json')]
    expect(once.runs[0].losses).toHaveLength(3)
    expect(again.runs[0].losses).toEqual(once.runs[0].losses)
    const picture = await decodeImage(await readFile(join(folder, 'samples', 'samples-flex16+5-1.png')))
    expect(picture.shape).toEqual([3, 274, 274])
  })

  it('say which formats there are', async () => {
    await expect(call('resnet', '--format', 'f33')).rejects.toThrow(/There is no format 'f33'. Use f32, flexN\+M/)
  })
})
