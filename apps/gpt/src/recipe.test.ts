import { describe, expect, it } from 'vitest'
import { recipeFromJSON, resolveRecipe } from './recipe.ts'

describe('resolveRecipe', () => {
  it("has nanoGPT's recipe for a CPU under its name", () => {
    expect(resolveRecipe({ preset: 'nanogpt-cpu', seed: 3 })).toEqual({
      model: {
        layers: 4,
        heads: 4,
        width: 128,
        blockSize: 64,
        biases: false,
        dropout: 0,
        initialDeviation: 0.05,
      },
      recipe: {
        preset: 'nanogpt-cpu',
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
        seed: 3,
      },
    })
  })

  it('lets the command line say otherwise, and fits what depends on it', () => {
    const { model, recipe } = resolveRecipe({
      preset: 'gpt3-760m',
      heads: 8,
      width: 384,
      steps: 50,
      learningRate: 1e-3,
    })
    expect(model).toMatchObject({ layers: 24, heads: 8, width: 384, blockSize: 2048, initialDeviation: 0.04 })
    expect(model).not.toHaveProperty('headWidth')
    expect(recipe).toMatchObject({ tokenizer: 'gpt2', steps: 50, warmup: 5, minimumLearningRate: 1e-4 })
    expect(resolveRecipe({ preset: 'gpt3-760m' }).model.headWidth).toBe(96)
  })
})

describe('recipeFromJSON', () => {
  const { recipe } = resolveRecipe({ preset: 'gpt2' })

  it('reads what was written', () => {
    expect(recipeFromJSON(JSON.parse(JSON.stringify(recipe)))).toEqual(recipe)
  })

  it.each([null, [], {}, { ...recipe, batch: '8' }, { ...recipe, steps: -1 }, { ...recipe, tokenizer: 'words' }])(
    'refuses %j',
    (json) => {
      expect(() => recipeFromJSON(json)).toThrow(
        /The checkpoint does not say how the run was made|'words' is not known/,
      )
    },
  )
})
