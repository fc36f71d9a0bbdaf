import { randomKey, randomNormal, type Tensor, TesseraError, tensor } from '@tessera/core'
import { describe, expect, test, vi } from 'vitest'
import { ExponentialMovingAverage } from '../averaging/exponential-moving-average.ts'
import { type Checkpoint, captureCheckpoint } from '../checkpoints/checkpoint.ts'
import { decodeCheckpoint, encodeCheckpoint } from '../checkpoints/encoding.ts'
import { LossScale } from '../loss-scaling/loss-scale.ts'
import { meanSquaredError } from '../losses/regression.ts'
import { Dropout } from '../modules/dropout.ts'
import { Linear } from '../modules/linear.ts'
import { Sequential } from '../modules/sequential.ts'
import { AdamW } from '../optimizers/adam.ts'
import { Sgd } from '../optimizers/sgd.ts'
import { warmUpCosine } from '../schedules/schedules.ts'
import { type CheckpointStore, resumeRun } from './checkpointing.ts'
import type { TrainingObserver } from './observer.ts'
import { train } from './train.ts'

interface Batch {
  readonly x: Tensor
  readonly y: Tensor
}

/** Points of the plane y = 2 a − b + 1, the same for the same number. */
async function batchAt(step: number): Promise<Batch> {
  const x = await randomNormal(randomKey(step), [8, 2]).data()
  const y = Float32Array.from({ length: 8 }, (_, i) => 2 * x[2 * i]! - x[2 * i + 1]! + 1)
  return { x: tensor(x, [8, 2]), y: tensor(y, [8, 1]) }
}

const loss = (model: Linear, { x, y }: Batch) => meanSquaredError(model.forward(x), y)

function memory(): CheckpointStore & { readonly files: Uint8Array[]; last(): Checkpoint } {
  const files: Uint8Array[] = []
  return {
    location: 'memory',
    files,
    save: async (checkpoint) => {
      files.push(encodeCheckpoint(checkpoint))
    },
    last: () => decodeCheckpoint(files.at(-1)!),
  }
}

function regression(seed = 0, learningRate = 0.1) {
  const model = new Linear(2, 1, { key: randomKey(seed) })
  return { model, optimizer: new Sgd(model, { learningRate, momentum: 0.5 }), loss, batch: batchAt }
}

describe('train', () => {
  test('learns, and records what happened', async () => {
    const told: string[] = []
    const observer: TrainingObserver = {
      onStep: ({ step }, progress) => told.push(`step ${step} of ${progress.steps}`),
      onEvaluation: ({ step }) => told.push(`evaluation ${step}`),
      onCheckpoint: (location, step) => told.push(`checkpoint ${location} ${step}`),
      onEnd: () => told.push('end'),
    }
    const run = regression()
    const steps = 60
    const result = await train({
      ...run,
      steps,
      tokensPerStep: 8,
      maximumGradientNorm: 1,
      evaluation: { every: 25, batches: 3, batch: (index) => batchAt(1000 + index) },
      checkpoints: { every: 40, store: memory() },
      observers: [observer],
    })
    expect([...(await run.model.weight.data())].map((value) => Number(value.toFixed(2)))).toEqual([2, -1])
    expect(await run.model.bias!.item()).toBeCloseTo(1, 2)
    expect(result).toMatchObject({ step: steps, interrupted: false })
    expect(result.loss).toBeLessThan(1e-3)
    expect(result.validationLoss).toBeLessThan(1e-3)
    expect(result.history.steps.map(({ step }) => step)).toEqual(Array.from({ length: steps }, (_, i) => i + 1))
    expect(result.history.evaluations.map(({ step }) => step)).toEqual([25, 50, 60])
    const [first] = result.history.steps
    expect(first!.loss).toBeGreaterThan(1)
    expect(first!.gradientNorm).toBeGreaterThan(1)
    expect(first!.learningRate).toBeCloseTo(0.1, 7)
    expect(result.millisecondsPerStep).toBeGreaterThan(0)
    expect(result.tokensPerSecond).toBeCloseTo(8000 / result.millisecondsPerStep, 6)
    expect(told.filter((line) => !line.startsWith('step'))).toEqual([
      'evaluation 25',
      'checkpoint memory 40',
      'evaluation 50',
      'evaluation 60',
      'checkpoint memory 60',
      'end',
    ])
    expect(told.indexOf('evaluation 25')).toBe(told.indexOf('step 25 of 60') + 1)
  })

  test('goes on from a checkpoint bit for bit, with dropout, schedule and average', async () => {
    const make = (seed: number) => {
      const model = new Sequential([
        new Linear(2, 8, { key: randomKey(seed) }),
        (x: Tensor) => x.gelu(),
        new Dropout(0.3, { key: randomKey(seed + 50) }),
        new Linear(8, 1, { key: randomKey(seed + 100) }),
      ])
      const learningRate = warmUpCosine({ peak: 0.05, minimum: 0.005, warmUpSteps: 3, steps: 10 })
      const state = {
        model,
        optimizer: new AdamW(model, { learningRate }),
        average: new ExponentialMovingAverage(model, { decay: 0.9, warmUp: true }),
      }
      const others = {
        batch: batchAt,
        loss: (m: Sequential, { x, y }: Batch) => meanSquaredError(m.forward(x), y),
        maximumGradientNorm: 0.5,
        evaluation: { every: 2, batches: 2, batch: batchAt },
      }
      return { state, others }
    }
    const bits = async (state: Record<string, object>) => encodeCheckpoint(await captureCheckpoint(state, { step: 10 }))

    const straight = make(1)
    const whole = await train({ ...straight.state, ...straight.others, steps: 10 })

    const store = memory()
    const firstHalf = make(1)
    const checkpoints = { every: 5, store, metadata: { seed: 1 } }
    await train({ ...firstHalf.state, ...firstHalf.others, checkpoints, steps: 5 })
    const secondHalf = make(2)
    const start = resumeRun(store.last(), secondHalf.state)
    expect(start.step).toBe(5)
    expect(start.metadata.seed).toBe(1)
    const resumed = await train({ ...secondHalf.state, ...secondHalf.others, start, steps: 10 })

    expect(await bits(secondHalf.state)).toEqual(await bits(straight.state))
    const lossesOf = ({ history }: typeof whole) => history.steps.map((record) => record.loss)
    expect(lossesOf(resumed).slice(5)).toEqual(lossesOf(whole).slice(5))
    expect(resumed.history.steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    expect(resumed.history.steps.slice(0, 5).map(({ loss }) => Math.fround(loss))).toEqual(
      lossesOf(whole)
        .slice(0, 5)
        .map((loss) => Math.fround(Number(loss.toPrecision(7)))),
    )
  })

  test('leaves a finished run as it is', async () => {
    const run = regression()
    const result = await train({ ...run, steps: 3, start: { step: 3 } })
    expect(result).toMatchObject({ step: 3, interrupted: false, loss: undefined })
    expect(result.millisecondsPerStep).toBeNaN()
  })

  test('evaluates in inference mode and trains in training mode', async () => {
    const modes: boolean[] = []
    const run = regression()
    await train({
      ...run,
      loss: (model, batch) => {
        modes.push(model.training)
        return loss(model, batch)
      },
      evaluation: { every: 1, batches: 1, batch: batchAt },
      steps: 3,
    })
    // Each is traced once.
    expect(modes).toEqual([true, false])
    expect(run.model.training).toBe(true)
  })

  test('keeps frozen parts as they are and out of the gradient norm', async () => {
    const model = new Sequential([new Linear(2, 2, { key: randomKey(1) }), new Linear(2, 1, { key: randomKey(2) })])
    const first = model.layers[0] as Linear
    first.freeze()
    const before = await first.weight.data()
    const optimizer = new Sgd(model, { learningRate: 0.1 })
    const result = await train({
      model,
      optimizer,
      batch: batchAt,
      loss: (m, { x, y }: Batch) => meanSquaredError(m.forward(x), y),
      steps: 2,
    })
    expect(await first.weight.data()).toEqual(before)
    expect(result.history.steps).toHaveLength(2)
    expect(Object.keys(model.parameters())).toEqual(['layers.1.weight', 'layers.1.bias'])
  })
})

describe('a run that breaks', () => {
  const poisoned = async (step: number) => {
    const batch = await batchAt(step)
    return step === 6 ? { ...batch, y: batch.y.multiply(Number.NaN) } : batch
  }

  test('stops at the first loss that is not finite, with the last checkpoint intact', async () => {
    const store = memory()
    const onEnd = vi.fn()
    const failure = train({
      ...regression(),
      batch: poisoned,
      steps: 20,
      checkpoints: { every: 2, store },
      observers: [{ onEnd }],
    })
    await expect(failure).rejects.toThrow(TesseraError)
    await expect(failure).rejects.toMatchObject({
      code: 'NOT_FINITE',
      message: expect.stringMatching(
        /^Training stopped at step 7: the loss is NaN, the gradient norm NaN, at a learning rate of 0\.1.* The last finite values, at step 6: loss [\d.]+, gradient norm [\d.]+\. Lower the learning rate.*The checkpoint of step 6 in memory is intact: resume from it\.$/,
      ),
    })
    expect(store.files).toHaveLength(3)
    expect(store.last().metadata.step).toBe(6)
    const values = [...store.last().tensors.values()].flatMap(({ bytes }) => [
      ...new Float32Array(bytes.slice().buffer),
    ])
    expect(values.every(Number.isFinite)).toBe(true)
    expect(onEnd).toHaveBeenCalledOnce()
  })

  test('does not save a broken state even when it is due at that very step', async () => {
    const store = memory()
    await expect(
      train({ ...regression(), batch: poisoned, steps: 20, checkpoints: { every: 7, store } }),
    ).rejects.toThrow(/step 7: the loss is NaN/)
    expect(store.files).toHaveLength(0)
  })

  test('stops when it diverges', async () => {
    await expect(train({ ...regression(0, 1e12), steps: 100 })).rejects.toThrow(
      /Training stopped at step \d+: .*learning rate of/,
    )
  })

  test('stops when the validation loss is not finite', async () => {
    const batch = (index: number) => poisoned(index + 6)
    await expect(train({ ...regression(), steps: 4, evaluation: { every: 2, batches: 1, batch } })).rejects.toThrow(
      /stopped at step 2: the validation loss is NaN. The last finite values, at step 2/,
    )
  })

  test('passes on what the store throws', async () => {
    const full = { location: 'disk', save: () => Promise.reject(new Error('The disk is full')) }
    await expect(train({ ...regression(), steps: 4, checkpoints: { every: 2, store: full } })).rejects.toThrow(
      'disk is full',
    )
  })

  test('refuses counts that are none', async () => {
    await expect(train({ ...regression(), steps: 0 })).rejects.toThrow(/steps must be a whole number from 1 up, got 0/)
    const evaluation = { every: 1, batches: 0.5, batch: batchAt }
    await expect(train({ ...regression(), steps: 1, evaluation })).rejects.toThrow(/evaluation\.batches .* got 0\.5/)
  })
})

describe('an abort signal', () => {
  test('ends the run after the step under way and saves it', async () => {
    const controller = new AbortController()
    const store = memory()
    const run = regression()
    const batch = (step: number) => {
      if (step === 4) controller.abort()
      return batchAt(step)
    }
    const result = await train({
      ...run,
      batch,
      steps: 50,
      checkpoints: { every: 20, store },
      signal: controller.signal,
    })
    expect(result).toMatchObject({ step: 5, interrupted: true })
    expect(result.history.steps).toHaveLength(5)
    expect(store.files).toHaveLength(1)
    expect(store.last().metadata.step).toBe(5)
    const fresh = regression(9)
    resumeRun(store.last(), { model: fresh.model, optimizer: fresh.optimizer })
    expect(await fresh.model.weight.data()).toEqual(await run.model.weight.data())
  })

  test('during an evaluation drops it, and saves', async () => {
    const controller = new AbortController()
    const store = memory()
    const batch = (index: number) => {
      if (index === 1) controller.abort()
      return batchAt(index)
    }
    const options = { evaluation: { every: 3, batches: 4, batch }, checkpoints: { every: 100, store } }
    const result = await train({ ...regression(), ...options, steps: 50, signal: controller.signal })
    expect(result).toMatchObject({ step: 3, interrupted: true, validationLoss: undefined })
    expect(store.last().metadata.step).toBe(3)
  })

  test('lets the event loop run, so that a timer can raise it', async () => {
    const signal = AbortSignal.timeout(300)
    const result = await train({ ...regression(), steps: 1_000_000, signal })
    expect(result.interrupted).toBe(true)
    expect(result.step).toBeGreaterThan(1)
  })
})

describe('several batches for one update', () => {
  test('give what one batch of all gives, and are numbered on', async () => {
    const asked: number[] = []
    const rows = async (numbers: readonly number[]): Promise<Batch> => {
      const parts = await Promise.all(numbers.map(batchAt))
      const joined = async (name: 'x' | 'y') =>
        Float32Array.from((await Promise.all(parts.map((part) => part[name].data()))).flatMap((values) => [...values]))
      return {
        x: tensor(await joined('x'), [8 * numbers.length, 2]),
        y: tensor(await joined('y'), [8 * numbers.length, 1]),
      }
    }
    const small = regression()
    const batch = (number: number) => {
      asked.push(number)
      return batchAt(number)
    }
    const some = await train({ ...small, batch, steps: 5, microBatches: 3, maximumGradientNorm: 1 })
    expect(asked).toEqual(Array.from({ length: 15 }, (_, i) => i))
    const large = regression()
    const all = await train({
      ...large,
      batch: (step) => rows([3 * step, 3 * step + 1, 3 * step + 2]),
      steps: 5,
      maximumGradientNorm: 1,
    })
    for (const [i, record] of some.history.steps.entries()) {
      expect(record.loss).toBeCloseTo(all.history.steps[i]!.loss, 5)
      expect(record.gradientNorm).toBeCloseTo(all.history.steps[i]!.gradientNorm, 5)
    }
    const wanted = await large.model.weight.data()
    for (const [i, value] of (await small.model.weight.data()).entries()) expect(value).toBeCloseTo(wanted[i]!, 5)
  })
})

describe('a loss scale', () => {
  const scaled = (initial: number) => {
    const { model, optimizer, batch } = regression()
    const half = (m: Linear, { x, y }: Batch) => loss(m, { x, y }).cast('f16')
    return { model, optimizer, batch, loss: half, lossScale: new LossScale({ initial, growthInterval: 100 }) }
  }

  test('leaves updates out until gradients are finite, and stays in checkpoints', async () => {
    const run = scaled(2 ** 32)
    const store = memory()
    const result = await train({ ...run, steps: 30, microBatches: 2, checkpoints: { every: 30, store } })
    const leftOut = result.history.steps.filter(({ gradientNorm }) => gradientNorm === 0).length
    expect(leftOut).toBeGreaterThan(10)
    expect(await run.optimizer.step.item()).toBe(30 - leftOut)
    expect(await run.lossScale.scale.item()).toBe(2 ** (32 - leftOut))
    expect(result.loss).toBeLessThan(result.history.steps[0]!.loss)
    const other = scaled(1)
    resumeRun(store.last(), { model: other.model, optimizer: other.optimizer, lossScale: other.lossScale })
    expect(await other.lossScale.scale.item()).toBe(2 ** (32 - leftOut))
  })

  test('that cannot be reduced any more ends the run', async () => {
    const { lossScale: _, ...run } = scaled(1)
    // The loss is 0, its derivative 1 / √0 at first.
    const root = (m: Linear) => m.weight.multiply(0).sum().abs().sqrt()
    const lossScale = new LossScale({ initial: 4, minimum: 2 })
    await expect(train({ ...run, loss: root, lossScale, steps: 9 })).rejects.toThrow(
      /stopped at step 2: .* at its minimum of 2/,
    )
  })
})
