import {
  type AttentionChoice,
  attentionLayers,
  type GptOptions,
  type GptPreset,
  gptPreset,
  gptPresetNames,
} from '@tessera/models-gpt'
import { type TokenizerChoice, tokenizerChoice } from './tokenizers.ts'
import { UsageError } from './usage-error.ts'

/** Everything but the sizes of the model that decides how a run goes: what a resumed run takes from its checkpoint. */
export interface Recipe {
  readonly preset: string
  readonly tokenizer: TokenizerChoice
  /** Sequences in a step. */
  readonly batch: number
  readonly steps: number
  readonly learningRate: number
  /** At the last step. */
  readonly minimumLearningRate: number
  /** Steps in which the learning rate rises. */
  readonly warmup: number
  readonly beta2: number
  readonly weightDecay: number
  /** Largest global norm of the gradients. */
  readonly clip: number
  readonly evaluateEvery: number
  /** Random batches of the validation part for each evaluation. */
  readonly evaluationBatches: number
  readonly seed: number
}

/** Sizes of the model, before the tokenizer says how many tokens there are. */
export type ModelSizes = Omit<GptOptions, 'vocabularySize'>

interface Preset {
  readonly description: string
  readonly model: ModelSizes
  readonly recipe: Omit<Recipe, 'preset' | 'seed'>
}

/**
 * nanoGPT's own first weights have deviation 0.02, as GPT-2's at width 768. That deviation times √(768 / 128) is 0.05, with
 * which the same recipe ends 0.13 nats lower on tinyshakespeare; `--initial-deviation 0.02` gives nanoGPT's.
 */
const nanoGptModel: ModelSizes = {
  layers: 4,
  heads: 4,
  width: 128,
  blockSize: 64,
  biases: false,
  dropout: 0,
  initialDeviation: 0.05,
}

const nanoGptRecipe: Preset['recipe'] = {
  tokenizer: 'character',
  batch: 12,
  steps: 2000,
  learningRate: 1e-3,
  minimumLearningRate: 1e-4,
  warmup: 100,
  beta2: 0.99,
  weightDecay: 0.1,
  clip: 1,
  evaluateEvery: 250,
  evaluationBatches: 20,
}

/** Learning rates of Brown et al. 2020, table 2.1. Radford et al. 2019 tuned theirs by hand and do not say how they came out. */
const learningRates: Readonly<Partial<Record<GptPreset, number>>> = {
  gpt2: 6e-4,
  'gpt2-medium': 3e-4,
  'gpt2-large': 2.5e-4,
  'gpt2-xl': 2e-4,
  'gpt3-125m': 6e-4,
  'gpt3-350m': 3e-4,
  'gpt3-760m': 2.5e-4,
  'gpt3-1.3b': 2e-4,
  'gpt3-1.3b-as-printed': 2e-4,
  'gpt3-2.7b': 1.6e-4,
  'gpt3-6.7b': 1.2e-4,
  'gpt3-13b': 1e-4,
  'gpt3-13b-as-printed': 1e-4,
  'gpt3-175b': 6e-5,
}

/** A published size with the optimizer settings of Brown et al. 2020, appendix B. Their batches of half a million tokens and more are up to you. */
function published(name: GptPreset): Preset {
  const { vocabularySize: _, ...model } = gptPreset(name)
  const learningRate = learningRates[name] ?? 6e-4
  const recipe = {
    ...nanoGptRecipe,
    tokenizer: 'gpt2',
    batch: 8,
    learningRate,
    minimumLearningRate: learningRate / 10,
    beta2: 0.95,
  } as const
  return { description: 'published size', model, recipe }
}

/** Presets by name; the first one is the default. */
export const presets: Readonly<Record<string, Preset>> = {
  quick: {
    description: 'about two minutes on two cores',
    model: nanoGptModel,
    recipe: { ...nanoGptRecipe, evaluateEvery: 200, evaluationBatches: 40 },
  },
  'nanogpt-cpu': { description: "nanoGPT's recipe for training on a CPU", model: nanoGptModel, recipe: nanoGptRecipe },
  ...Object.fromEntries(
    gptPresetNames.filter((name) => name !== 'nanogpt-cpu').map((name) => [name, published(name)] as const),
  ),
}

export const defaultPreset = 'quick'
export const defaultSeed = 1337

/** What the command line may change. */
export interface RecipeOptions extends Partial<Omit<Recipe, 'preset'>> {
  readonly preset?: string
  readonly layers?: number
  readonly heads?: number
  readonly width?: number
  readonly block?: number
  readonly biases?: boolean
  readonly dropout?: number
  readonly initialDeviation?: number
  readonly attention?: AttentionChoice
  readonly recompute?: boolean
}

/** The preset with what the command line says instead. */
export function resolveRecipe(options: RecipeOptions): { readonly model: ModelSizes; readonly recipe: Recipe } {
  const name = options.preset ?? defaultPreset
  const preset = presets[name]!
  const chosen = Object.fromEntries(
    Object.keys(preset.recipe).flatMap((key) => {
      const value = options[key as keyof RecipeOptions]
      return value === undefined ? [] : [[key, value]]
    }),
  ) as Partial<Recipe>
  const base = { ...preset.recipe, ...chosen, preset: name, seed: options.seed ?? defaultSeed }
  const recipe: Recipe = {
    ...base,
    // What the preset says is meant for its own number of steps and its own learning rate.
    warmup: options.warmup ?? Math.min(preset.recipe.warmup, Math.floor(base.steps / 10)),
    minimumLearningRate:
      options.minimumLearningRate ??
      (base.learningRate * preset.recipe.minimumLearningRate) / preset.recipe.learningRate,
  }
  checkRecipe(recipe)
  const resized = options.width !== undefined || options.heads !== undefined
  const { headWidth, ...sizes } = preset.model
  const [heads, blockSize] = [options.heads ?? sizes.heads, options.block ?? sizes.blockSize]
  const model: ModelSizes = {
    ...sizes,
    ...(headWidth !== undefined && !resized && { headWidth }),
    layers: options.layers ?? sizes.layers,
    heads,
    width: options.width ?? sizes.width,
    blockSize,
    ...(options.attention && { attention: attentionLayers(options.attention, blockSize, heads) }),
    ...(options.recompute && { recompute: true }),
    biases: options.biases ?? sizes.biases ?? true,
    dropout: options.dropout ?? sizes.dropout ?? 0,
    // What one weight adds up over the width stays the same at other widths than the preset's.
    initialDeviation:
      options.initialDeviation ??
      (sizes.initialDeviation ?? 0.02) * Math.sqrt(sizes.width / (options.width ?? sizes.width)),
  }
  return { model, recipe }
}

export function checkRecipe({ learningRate, minimumLearningRate, warmup, steps }: Recipe): void {
  if (minimumLearningRate > learningRate) {
    throw new UsageError(
      `The minimum learning rate ${minimumLearningRate} is above the learning rate ${learningRate}. Lower --minimum-learning-rate.`,
    )
  }
  if (warmup >= steps) {
    throw new UsageError(
      `The warm-up of ${warmup} steps takes all of the ${steps} steps. Lower --warmup, or raise --steps.`,
    )
  }
}

/** Reads the recipe in a checkpoint of unknown origin. */
export function recipeFromJSON(json: unknown): Recipe {
  const found = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>
  for (const [name, example] of Object.entries(resolveRecipe({}).recipe)) {
    const value = found[name]
    const fits =
      typeof value === typeof example && (typeof value !== 'number' || (Number.isFinite(value) && value >= 0))
    if (!fits) {
      throw new UsageError(
        `The checkpoint does not say how the run was made: its ${name} is ${JSON.stringify(value)}. ` +
          'Only checkpoints that tessera-gpt train wrote can be resumed.',
      )
    }
  }
  const recipe = found as unknown as Recipe
  return { ...recipe, tokenizer: tokenizerChoice(recipe.tokenizer) }
}
