import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomKey, zeros } from '@tessera/core'
import { decodeImage } from '@tessera/nn/data'
import { expect, test } from 'vitest'
import { makeProgram } from '../program.ts'
import { loadDigits } from './data.ts'
import { DigitNet } from './model.ts'
import { drawSheet } from './picture.ts'

test('MNIST has its images, its labels and their frequencies', async () => {
  const { training, test: held } = await loadDigits()
  expect([training.length, held.length]).toEqual([60_000, 10_000])
  const first = await Promise.all([0, 1, 2, 3, 4].map(async (i) => (await training.at(i)).label.data[0]))
  expect(first).toEqual([5, 0, 4, 1, 9])
  expect((await held.at(0)).image.shape).toEqual([1, 28, 28])
})

test('the net maps images to ten logits', () => {
  const model = new DigitNet(randomKey(0))
  expect(model.parameterCount).toBe(29_902)
  expect(model.eval().forward(zeros([2, 1, 28, 28], 'u8')).shape).toEqual([2, 10])
})

test('the sheet marks mistakes in red and right answers in green', () => {
  const pixels = new Uint8Array(784).fill(200)
  const { data, shape } = drawSheet(
    [
      { pixels, label: 1, prediction: 1 },
      { pixels, label: 3, prediction: 8 },
    ],
    2,
  )
  const area = shape[1]! * shape[2]!
  const has = (red: number, green: number) => {
    for (let i = 0; i < area; i++) if (data[i] === red && data[area + i] === green) return true
    return false
  }
  expect([has(96, 224), has(255, 96), has(200, 200)]).toEqual([true, true, true])
})

test('the command learns in a few steps, and writes its picture and figures', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tessera-mnist-'))
  try {
    const [picture, json] = [join(folder, 'sheet.png'), join(folder, 'figures.json')]
    const options = ['--examples', '1280', '--batch', '32', '--threads', '1', '--picture', picture, '--json', json]
    await makeProgram().parseAsync(['node', 'tessera-examples', 'mnist', ...options])
    const figures = JSON.parse(await readFile(json, 'utf8'))
    expect(figures).toMatchObject({ example: 'mnist', steps: 40, parameters: 29_902 })
    expect(figures.testAccuracy).toBeGreaterThan(0.7)
    expect(figures.confusion.flat().reduce((a: number, b: number) => a + b, 0)).toBe(10_000)
    expect((await decodeImage(await readFile(picture))).shape).toEqual([3, 306, 482])
  } finally {
    await rm(folder, { recursive: true })
  }
})
