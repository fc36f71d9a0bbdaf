import { type ProgramPolicy, type Tensor, TesseraError, tensorsIn } from '@tessera/core'
import type { ExponentialMovingAverage } from '../averaging/exponential-moving-average.ts'
import { GradientAccumulator } from '../gradients/accumulate.ts'
import type { LossScale } from '../loss-scaling/loss-scale.ts'
import type { Module } from '../modules/module.ts'
import type { Optimizer } from '../optimizers/optimizer.ts'
import { type CheckpointOptions, saveRun } from './checkpointing.ts'
import { type EvaluationOptions, evaluate } from './evaluate.ts'
import { checkFinite, checkScale } from './finite.ts'
import { type EvaluationRecord, type History, median, type StepRecord } from './history.ts'
import type { TrainingObserver } from './observer.ts'
import { StepClock } from './step-clock.ts'
import { accumulatingStep, type BatchLoss, evaluationStep, trainingStep } from './training-step.ts'

export interface TrainOptions<Model extends Module, Batch> {
  readonly model: Model
  readonly optimizer: Optimizer
  /** Updated after every step, when there is one. */
  readonly average?: ExponentialMovingAverage
  readonly loss: BatchLoss<Model, Batch>
  /**
   * The batch of a step, counted from 0. Made from the step's number and a seed alone, it makes runs repeatable and lets a
   * resumed run go on with the right data. Its tensors are freed after the step; data from the host can be given again.
   */
  readonly batch: (step: number) => Batch | Promise<Batch>
  /** Updates at the end of the run, those before a resume included. */
  readonly steps: number
  readonly maximumGradientNorm?: number
  /**
   * Batches whose gradients are averaged for one update, one after another, so that only one lies in memory; 1 by default. `batch` is
   * called with `step · microBatches + i`.
   */
  readonly microBatches?: number
  /** Scales gradients for small number formats, and leaves updates out whose gradients overflowed. */
  readonly lossScale?: LossScale
  /** Rewrites every step, for example to train in a number format; what it keeps from step to step goes into checkpoints. */
  readonly policy?: ProgramPolicy
  /** Tokens (or examples) in a batch, for the speed. */
  readonly tokensPerStep?: number
  readonly evaluation?: EvaluationOptions<Model, Batch>
  readonly checkpoints?: CheckpointOptions
  /** Where to go on from, as `resumeRun` gives it. */
  readonly start?: { readonly step: number; readonly history?: History }
  /** Ends the run after the step that is under way; a checkpoint is saved. */
  readonly signal?: AbortSignal
  readonly observers?: readonly TrainingObserver[]
}

export interface TrainingResult {
  /** Updates made, those before a resume included. */
  readonly step: number
  /** Whether the signal ended the run early. */
  readonly interrupted: boolean
  readonly history: History
  /** Of the last step; `undefined` when there was none. */
  readonly loss: number | undefined
  /** Of the last evaluation, if there was one. */
  readonly validationLoss: number | undefined
  /** Median over the steps of this call but the first, which includes compilation; NaN with fewer than two. */
  readonly millisecondsPerStep: number
  /** From the median; `undefined` without `tokensPerStep`. */
  readonly tokensPerSecond: number | undefined
}

/**
 * Trains a model. Each step runs as one compiled program; losses are read one step late.
 *
 * A loss or gradient norm that is not finite ends the run with an error, and nothing is saved after it. An abort signal ends
 * it after the current step, with a checkpoint.
 *
 * @throws TesseraError with code `NOT_FINITE`, or whatever `batch` and the checkpoints' store throw
 */
export async function train<Model extends Module, Batch>(options: TrainOptions<Model, Batch>): Promise<TrainingResult> {
  checkOptions(options)
  try {
    return await runSteps(options)
  } finally {
    for (const observer of options.observers ?? []) observer.onEnd?.()
  }
}

async function runSteps<Model extends Module, Batch>(options: TrainOptions<Model, Batch>): Promise<TrainingResult> {
  const { model, optimizer, average, lossScale, steps, evaluation, checkpoints, signal, tokensPerStep } = options
  const observers = options.observers ?? []
  const step = stepRunner(options)
  const evaluated = evaluationStep(evaluation?.loss ?? options.loss)
  const first = options.start?.step ?? 0
  const history = {
    steps: [...(options.start?.history?.steps ?? [])] as StepRecord[],
    evaluations: [...(options.start?.history?.evaluations ?? [])] as EvaluationRecord[],
  }
  const clock = new StepClock(first, steps, tokensPerStep)
  let done = first
  let savedAt = first
  let unread: (() => Promise<void>) | undefined

  /** Reads the step whose figures are still on the device. */
  const drain = async () => {
    await unread?.()
    unread = undefined
  }
  const save = async () => {
    if (!checkpoints || savedAt === done) return
    await saveRun(
      checkpoints,
      {
        model,
        optimizer,
        ...(average && { average }),
        ...(lossScale && { lossScale }),
        ...(options.policy?.state && { policy: options.policy.state() }),
      },
      done,
      history,
    )
    savedAt = done
    for (const observer of observers) observer.onCheckpoint?.(checkpoints.store.location, done)
  }

  model.train()
  while (done < steps && !signal?.aborted) {
    const batches = await batchesOf(options, done)
    clock.begin()
    const figures = step(batches)
    for (const tensor of tensorsIn(batches)) tensor.dispose()
    const number = ++done
    await drain()
    unread = async () => {
      const [loss, gradientNorm, learningRate, applied, scale] = (await figures.data()) as unknown as StepFigures
      figures.dispose()
      const record = { step: number, loss, learningRate, gradientNorm, milliseconds: clock.millisecondsOf(number) }
      checkFinite(record, history.steps.at(-1), checkpoints && { location: checkpoints.store.location, step: savedAt })
      if (!applied && lossScale) checkScale(number, scale, lossScale)
      history.steps.push(record)
      for (const observer of observers) observer.onStep?.(record, clock.progress(number))
    }
    const evaluates = evaluation && (done % evaluation.every === 0 || done === steps)
    const saves = checkpoints && (done % checkpoints.every === 0 || done === steps)
    if (evaluates || saves || done === steps || signal?.aborted) {
      await drain()
      clock.pause()
    }
    if (evaluates) {
      const loss = await evaluate(model, evaluated, evaluation, signal)
      if (loss !== undefined) {
        const record = { step: done, loss }
        checkFinite(
          record,
          history.steps.at(-1),
          checkpoints && { location: checkpoints.store.location, step: savedAt },
        )
        history.evaluations.push(record)
        for (const observer of observers) observer.onEvaluation?.(record, clock.progress(done))
      }
    }
    if (saves) await save()
    await clock.letOthersRun()
  }
  await drain()
  if (signal?.aborted) await save()

  const millisecondsPerStep = median(clock.steady())
  return {
    step: done,
    interrupted: done < steps,
    history,
    loss: history.steps.at(-1)?.loss,
    validationLoss: history.evaluations.at(-1)?.loss,
    millisecondsPerStep,
    tokensPerSecond: tokensPerStep === undefined ? undefined : (1000 * tokensPerStep) / millisecondsPerStep,
  }
}

type StepFigures = [loss: number, gradientNorm: number, learningRate: number, applied: number, scale: number]

/** One update from its batches, in one program or in two. */
function stepRunner<Model extends Module, Batch>(
  options: TrainOptions<Model, Batch>,
): (batches: readonly Batch[]) => Tensor {
  const { model, optimizer, average, lossScale, maximumGradientNorm, policy } = options
  if ((options.microBatches ?? 1) === 1) {
    const step = trainingStep(options.loss, { maximumGradientNorm, policy })
    return ([batch]) => step(model, optimizer, average, batch!, lossScale)
  }
  const step = accumulatingStep(options.loss, { maximumGradientNorm, policy })
  const sums = new GradientAccumulator(model)
  return (batches) => step({ model, optimizer, average, lossScale }, sums, batches)
}

async function batchesOf<Model extends Module, Batch>(
  { batch, microBatches = 1 }: TrainOptions<Model, Batch>,
  step: number,
): Promise<Batch[]> {
  const batches: Batch[] = []
  for (let i = 0; i < microBatches; i++) batches.push(await batch(step * microBatches + i))
  return batches
}

function checkOptions<Model extends Module, Batch>(options: TrainOptions<Model, Batch>): void {
  const counts = {
    steps: options.steps,
    microBatches: options.microBatches ?? 1,
    'evaluation.every': options.evaluation?.every ?? 1,
    'evaluation.batches': options.evaluation?.batches ?? 1,
    'checkpoints.every': options.checkpoints?.every ?? 1,
  }
  for (const [name, count] of Object.entries(counts)) {
    if (!Number.isSafeInteger(count) || count < 1) {
      throw new TesseraError('TRAIN_OPTIONS', `train: ${name} must be a whole number from 1 up, got ${count}.`)
    }
  }
}
