import { jit, type ProgramPolicy, randomKey, type Tensor, tensor } from '@tessera/core'
import { CharacterTokenizer, Gpt, gptConfiguration, textDatasets } from '@tessera/models-gpt'
import {
  AdamW,
  cosineSchedule,
  crossEntropy,
  evaluate,
  evaluationStep,
  type Module,
  type Optimizer,
  resumeRun,
  Sgd,
  type TrainingObserver,
  train,
  warmUp,
  warmUpCosine,
} from '@tessera/nn'
import { type Dataset, type LabelledImage, Loader } from '@tessera/nn/data'
import type { CheckpointFile } from '@tessera/nn/node'
import { augment, type CifarImages } from './cifar.ts'
import { AlexNet, ResNet } from './networks.ts'

/** What is trained: the same for every format. */
export interface Task {
  readonly name: string
  /** What a batch holds, for the speed. */
  readonly unit: string
  readonly metric: string
  run(context: RunContext): Promise<TaskResult>
}

export interface RunContext {
  readonly seed: number
  readonly policy: ProgramPolicy | undefined
  readonly signal: AbortSignal
  readonly observers: readonly TrainingObserver[]
  readonly checkpoint: CheckpointFile | undefined
  /** Whether to go on from the checkpoint. */
  readonly resume: boolean
}

export interface TaskResult {
  readonly losses: readonly number[]
  /** Of data that were not trained on, by the name of the task's metric. */
  readonly metric: number
  readonly millisecondsPerStep: number
  readonly parameters: number
  readonly interrupted: boolean
}

/** What all tasks are told on the command line. */
export interface Budget {
  readonly steps: number
  readonly batch: number
  readonly learningRate: number
}

interface Supervised<Model extends Module, Batch> {
  readonly make: (seed: number) => Model
  readonly optimizer: (model: Model) => Optimizer
  readonly batches: (seed: number) => (step: number) => Promise<Batch>
  readonly loss: (model: Model, batch: Batch) => Tensor
  readonly examine: (model: Model) => Promise<number>
}

function supervised<Model extends Module, Batch>(
  names: Pick<Task, 'name' | 'unit' | 'metric'>,
  { steps, batch }: Budget,
  { make, optimizer: optimizerOf, batches, loss, examine }: Supervised<Model, Batch>,
): Task {
  return {
    ...names,
    run: async ({ seed, policy, signal, observers, checkpoint, resume }) => {
      const model = make(seed)
      const optimizer = optimizerOf(model)
      const start = checkpoint && resume ? resumeRun(await checkpoint.load(), { model, optimizer }, policy) : undefined
      const result = await train({
        model,
        optimizer,
        loss,
        batch: batches(seed),
        steps,
        tokensPerStep: batch,
        signal,
        observers,
        ...(policy && { policy }),
        ...(start && { start }),
        ...(checkpoint && { checkpoints: { every: 500, store: checkpoint } }),
      })
      return {
        losses: result.history.steps.map(({ loss }) => loss),
        metric: await examine(model),
        millisecondsPerStep: result.millisecondsPerStep,
        parameters: model.parameterCount,
        interrupted: result.interrupted,
      }
    },
  }
}

/** Classes of CIFAR-10, by a network. */
function imageTask(
  name: string,
  images: CifarImages,
  budget: Budget,
  make: (seed: number) => Module & { forward(x: Tensor): Tensor },
  weightDecay: number,
): Task {
  const { steps, batch, learningRate } = budget
  const warmUpSteps = Math.ceil(steps / 20)
  const schedule = warmUp(warmUpSteps, cosineSchedule({ from: learningRate, steps: steps - warmUpSteps || 1 }))
  return supervised({ name, unit: 'images', metric: 'accuracy' }, budget, {
    make,
    optimizer: (model) => new Sgd(model, { learningRate: schedule, momentum: 0.9, weightDecay }),
    batches: (seed) =>
      new Loader(augment(images.training.shuffle(seed), seed).batch(batch).tensors(), { steps, prefetch: 1 }).at,
    loss: (model, { image, label }: { image: Tensor; label: Tensor }) => crossEntropy(model.forward(image), label),
    examine: (model) => accuracyOf(model, images.test),
  })
}

async function accuracyOf(
  model: Module & { forward(x: Tensor): Tensor },
  test: Dataset<LabelledImage>,
): Promise<number> {
  model.eval()
  const classify = jit((net: typeof model, image: Tensor) => net.forward(image).argMax(-1))
  let right = 0
  for await (const { image, label } of test.batch(100, { dropLast: false }).tensors()) {
    const [found, wanted] = [await classify(model, image).data(), await label.data()]
    for (const [i, answer] of found.entries()) if (answer === wanted[i]) right++
    image.dispose()
  }
  model.train()
  return right / test.length
}

export function alexNetTask(images: CifarImages, budget: Budget, width: number): Task {
  return imageTask('alexnet', images, budget, (seed) => new AlexNet(width, randomKey(seed)), 5e-4)
}

export function resNetTask(images: CifarImages, budget: Budget, depth: number): Task {
  return imageTask(`resnet-${depth}`, images, budget, (seed) => new ResNet(depth, randomKey(seed)), 1e-4)
}

export interface GptSizes {
  readonly layers: number
  readonly heads: number
  readonly width: number
  readonly block: number
}

/** A small GPT on the characters of a text. */
export function gptTask(text: string, budget: Budget, { layers, heads, width, block: blockSize }: GptSizes): Task {
  const { steps, batch, learningRate } = budget
  const tokenizer = CharacterTokenizer.fromText(text)
  const { vocabularySize } = tokenizer
  const data = (seed: number) => textDatasets(text, tokenizer, { batchSize: batch, blockSize, seed })
  type Batch = { tokens: Tensor; targets: Tensor }
  const at = (part: ReturnType<typeof data>['training']) => async (step: number) => {
    const { shape, inputs, targets } = part.batch(step)
    return { tokens: tensor(inputs, shape), targets: tensor(targets, shape) }
  }
  const loss = (gpt: Gpt, { tokens, targets }: Batch) => crossEntropy(gpt.forward(tokens), targets)
  return supervised({ name: 'gpt', unit: 'sequences', metric: 'validation loss' }, budget, {
    make: (seed) => new Gpt(gptConfiguration({ layers, heads, width, blockSize, vocabularySize }), randomKey(seed)),
    optimizer: (model) =>
      new AdamW(model, {
        learningRate: warmUpCosine({
          peak: learningRate,
          minimum: learningRate / 10,
          warmUpSteps: Math.floor(steps / 20),
          steps,
        }),
        beta2: 0.99,
        weightDecay: 0.1,
      }),
    batches: (seed) => at(data(seed).training),
    loss,
    examine: async (gpt) => {
      // The same batches for every seed.
      const { validation } = data(0)
      return (await evaluate(gpt, evaluationStep(loss), { batches: 20, batch: at(validation) }))!
    },
  })
}
