import { writeFile } from 'node:fs/promises'
import { wasm } from '@tessera/backend-wasm'
import { createRuntime, jit, randomKey, type Tensor, tensor } from '@tessera/core'
import { AdamW, classScores, confusionMatrix, crossEntropy, oneCycle, train } from '@tessera/nn'
import { type Dataset, encodePng, type LabelledImage, Loader, toTensors } from '@tessera/nn/data'
import { abortOnInterrupt, terminalProgress, writeLossCurve } from '@tessera/nn/node'
import { loadDigits } from './data.ts'
import { DigitNet } from './model.ts'
import { drawSheet, type Judged } from './picture.ts'

export interface MnistOptions {
  readonly epochs: number
  readonly examples?: number
  readonly batch: number
  readonly learningRate: number
  readonly seed: number
  readonly threads?: number
  readonly picture?: string
  readonly lossCurve?: string
  readonly json?: string
}

interface Batch {
  readonly image: Tensor
  readonly label: Tensor
}

const testBatch = 500

/** Trains, tests, draws and reports. */
export async function runMnist(options: MnistOptions): Promise<void> {
  const { epochs, examples, batch, learningRate, seed, threads, picture, lossCurve, json } = options
  const runtime = await createRuntime({ use: [wasm({ wide: true, ...(threads !== undefined && { threads }) })] })
  const { device } = runtime
  const { training, test } = await loadDigits()
  const model = new DigitNet(randomKey(seed))

  const batches = training
    .shuffle(seed)
    .slice(0, examples ?? training.length)
    .batch(batch)
    .tensors()
  const steps = epochs * batches.length
  const optimizer = new AdamW(model, { learningRate: oneCycle({ peak: learningRate, steps }), weightDecay: 0.01 })
  process.stdout.write(
    `${model.parameterCount} parameters, ${steps} steps, ${device.backend} (${device.variant}, ${device.threads} threads)\n`,
  )

  const interrupt = abortOnInterrupt(() => process.stderr.write('Stopping…\n'))
  const started = performance.now()
  const result = await train({
    model,
    optimizer,
    batch: new Loader(batches, { steps, prefetch: 2 }).at,
    loss: (net, { image, label }: Batch) => crossEntropy(net.forward(image), label, { labelSmoothing: 0.05 }),
    steps,
    tokensPerStep: batch,
    signal: interrupt.signal,
    observers: [terminalProgress({ title: 'mnist', unit: 'images' })],
  })
  interrupt.dispose()
  const trainingSeconds = (performance.now() - started) / 1000

  const { matrix, judged } = await examine(model, test)
  const correct = matrix.reduce((sum, count, i) => (i % 11 === 0 ? sum + count : sum), 0)
  const accuracy = correct / test.length
  const scores = await classScores(tensor(matrix, [10, 10])).f1.data()
  process.stdout.write(
    `Of ${test.length} test images ${correct} are recognised (${(100 * accuracy).toFixed(2)} %), after ${trainingSeconds.toFixed(0)} s of training.\n`,
  )

  if (picture) {
    await writeFile(picture, await encodePng(drawSheet(chooseForSheet(judged), 16)))
    process.stdout.write(`${picture} shows test images with the net's answers, mistakes in red first.\n`)
  }
  if (lossCurve) await writeLossCurve(result.history, lossCurve)
  if (json) {
    const figures = {
      example: 'mnist',
      backend: device.backend,
      variant: device.variant,
      threads: device.threads,
      parameters: model.parameterCount,
      steps: result.step,
      batch,
      seed,
      interrupted: result.interrupted,
      trainingSeconds,
      millisecondsPerStep: result.millisecondsPerStep,
      imagesPerSecond: result.tokensPerSecond,
      loss: result.loss,
      testAccuracy: accuracy,
      f1ByDigit: [...scores],
      confusion: Array.from({ length: 10 }, (_, row) => [...matrix.slice(10 * row, 10 * row + 10)]),
    }
    await writeFile(json, `${JSON.stringify(figures, undefined, 2)}\n`)
  }
  await runtime.close()
}

/** Answers for all test images, and how often each digit was taken for each. */
async function examine(
  model: DigitNet,
  test: Dataset<LabelledImage>,
): Promise<{ matrix: Int32Array; judged: Judged[] }> {
  model.eval()
  const judge = jit((net: DigitNet, image: Tensor, label: Tensor) => {
    const prediction = net.forward(image).argMax()
    return { prediction, matrix: confusionMatrix(prediction, label, 10) }
  })
  const matrix = new Int32Array(100)
  const judged: Judged[] = []
  for await (const { image, label } of test.batch(testBatch)) {
    const { image: images, label: labels } = toTensors({ image, label })
    const { prediction, matrix: counts } = judge(model, images, labels)
    const [answers, found] = [await prediction.data(), await counts.data()]
    for (let j = 0; j < 100; j++) matrix[j]! += found[j]!
    for (let j = 0; j < answers.length; j++) {
      const pixels = image.data.subarray(784 * j, 784 * (j + 1)) as Uint8Array
      judged.push({ pixels, label: label.data[j]!, prediction: answers[j]! })
    }
  }
  return { matrix, judged }
}

/** Up to 64 mistakes, then images that were recognised: 128 in all. */
function chooseForSheet(judged: readonly Judged[]): Judged[] {
  const wrong = judged.filter(({ label, prediction }) => label !== prediction).slice(0, 64)
  const right = judged.filter(({ label, prediction }) => label === prediction).slice(0, 128 - wrong.length)
  return [...wrong, ...right]
}
