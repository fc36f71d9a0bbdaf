import { randomKey } from '@tessera/core'
import {
  Gpt,
  gptConfiguration,
  gptFromCheckpoint,
  type TokenDataset,
  type Tokenizer,
  textDatasets,
} from '@tessera/models-gpt'
import { AdamW, type Checkpoint, type History, resumeRun, warmUpCosine } from '@tessera/nn'
import { loadCheckpoint } from '@tessera/nn/node'
import { type Corpus, readCorpus } from './corpus.ts'
import { checkRecipe, type Recipe, type RecipeOptions, recipeFromJSON, resolveRecipe } from './recipe.ts'
import { newRunFolder, type RunFolder, resumedRunFolder } from './run-folder.ts'
import { makeTokenizer } from './tokenizers.ts'
import { UsageError } from './usage-error.ts'

/** A run that is ready to begin or to go on. */
export interface RunPlan {
  readonly recipe: Recipe
  readonly corpus: Corpus
  readonly tokenizer: Tokenizer
  readonly training: TokenDataset
  readonly validation: TokenDataset
  readonly folder: RunFolder
  readonly model: Gpt
  readonly optimizer: AdamW
  readonly start: { readonly step: number; readonly history?: History }
}

export interface PlanOptions extends RecipeOptions {
  readonly data?: string
  readonly out?: string
  readonly resume?: string
}

/** What a resumed run may do differently. */
const changeable: readonly (keyof PlanOptions)[] = ['steps', 'evaluateEvery', 'evaluationBatches']

/** All that decides how a run goes; these are the options that belong to a new run only. */
const settled: readonly (keyof PlanOptions)[] = [
  ...([
    'preset',
    'layers',
    'heads',
    'width',
    'block',
    'biases',
    'dropout',
    'initialDeviation',
    'attention',
    'recompute',
    'tokenizer',
    'batch',
    'seed',
  ] as const),
  ...(['learningRate', 'minimumLearningRate', 'warmup', 'beta2', 'weightDecay', 'clip'] as const),
]

/** A new run: settings from preset and command line, first weights from the seed. */
export async function planNewRun(options: PlanOptions): Promise<RunPlan> {
  const { model: sizes, recipe } = resolveRecipe(options)
  // Sizes that do not fit each other should not wait for the text; any vocabulary will do.
  gptConfiguration({ ...sizes, vocabularySize: 1 })
  const corpus = await readCorpus(options.data)
  const tokenizer = await makeTokenizer(recipe.tokenizer, corpus.text)
  const configuration = gptConfiguration({ ...sizes, vocabularySize: tokenizer.vocabularySize })
  const datasets = makeDatasets(corpus, tokenizer, recipe, configuration.blockSize)
  const model = new Gpt(configuration, randomKey(recipe.seed))
  const optimizer = makeOptimizer(model, recipe)
  const folder = await newRunFolder(options.out, corpus.name)
  return { recipe, corpus, tokenizer, ...datasets, folder, model, optimizer, start: { step: 0 } }
}

/** A run that goes on from a checkpoint with the settings in it, so that it ends as if it had never stopped. */
export async function planResumedRun(file: string, options: PlanOptions): Promise<RunPlan> {
  const given = settled.filter((name) => options[name] !== undefined)
  if (given.length > 0) {
    const names = given.map((name) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`).join(', ')
    throw new UsageError(
      `A resumed run keeps the settings in its checkpoint, so ${names} cannot be given. Leave it out, or begin a new run.`,
    )
  }
  const checkpoint = await loadCheckpoint(file)
  const { model, tokenizer } = gptFromCheckpoint(checkpoint)
  const changes = Object.fromEntries(
    changeable.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  )
  const recipe: Recipe = { ...recipeFromJSON(checkpoint.metadata.recipe), ...changes }
  checkRecipe(recipe)
  if (checkpoint.metadata.step >= recipe.steps) {
    throw new UsageError(
      `The run in ${file} is complete: it has made ${checkpoint.metadata.step} of ${recipe.steps} steps. Give a larger number of --steps.`,
    )
  }
  const corpus = await sameCorpus(checkpoint, options.data)
  const datasets = makeDatasets(corpus, tokenizer, recipe, model.configuration.blockSize)
  const optimizer = makeOptimizer(model, recipe)
  const start = resumeRun(checkpoint, { model, optimizer })
  const folder = await resumedRunFolder(options.out, file)
  return { recipe, corpus, tokenizer, ...datasets, folder, model, optimizer, start }
}

function makeOptimizer(
  model: Gpt,
  { learningRate, minimumLearningRate, warmup, steps, beta2, weightDecay }: Recipe,
): AdamW {
  return new AdamW(model, {
    learningRate: warmUpCosine({ peak: learningRate, minimum: minimumLearningRate, warmUpSteps: warmup, steps }),
    beta2,
    weightDecay,
  })
}

function makeDatasets({ text }: Corpus, tokenizer: Tokenizer, { batch, seed }: Recipe, blockSize: number) {
  return textDatasets(text, tokenizer, { batchSize: batch, blockSize, seed })
}

/** The text that a run was made with: from where it was, unless told where it is now. */
async function sameCorpus(checkpoint: Checkpoint, given: string | undefined): Promise<Corpus> {
  const data = checkpoint.metadata.data as { path?: unknown; fingerprint?: unknown } | null | undefined
  const path = given ?? (typeof data?.path === 'string' ? data.path : undefined)
  const corpus = await readCorpus(path)
  if (corpus.fingerprint !== data?.fingerprint) {
    throw new UsageError(
      `The text ${path === undefined ? 'that comes with the program' : `in ${path}`} is not the one that the run was made with ` +
        `(SHA-256 ${corpus.fingerprint.slice(0, 12)}… instead of ${String(data?.fingerprint).slice(0, 12)}…). Give that text with --data.`,
    )
  }
  return corpus
}
