import { jit, type Runtime, randomKey, type Tensor, tensor, valueAndGrad } from '@tessera/core'
import { FeedForward, Gpt, gptConfiguration } from '@tessera/models-gpt'
import { AdamW, clipByGlobalNorm, crossEntropy, restoreCheckpoint } from '@tessera/nn'
import {
  batchCount,
  checkedSteps,
  type GptParameter,
  type GptStepCase,
  gptBatch,
  gptParameters,
} from '../cases/gpt-step.ts'
import { transposedMatrix } from '../cases/inputs.ts'
import type { PreparedCase } from './implementation.ts'

/** Tessera's training step: one program that goes forward and backward, clips and updates. */
export function prepareGptStep(runtime: Runtime, benchmarkCase: GptStepCase): PreparedCase {
  const { layers, heads, width, context, batch, vocabulary, learningRate, betas, epsilon, weightDecay, clipNorm } =
    benchmarkCase
  const configuration = gptConfiguration({
    layers,
    heads,
    width,
    blockSize: context,
    vocabularySize: vocabulary,
    biases: false,
  })
  const model = new Gpt(configuration, randomKey(0))
  for (const block of model.blocks) {
    Object.assign(block, { feedForward: new ExactFeedForward(configuration, randomKey(0)) })
  }
  loadParameters(model, gptParameters(benchmarkCase))
  const optimizer = new AdamW(model, { learningRate, beta1: betas[0], beta2: betas[1], epsilon, weightDecay })
  const batches = Array.from({ length: batchCount }, (_, index) => {
    const { tokens, targets } = gptBatch(benchmarkCase, index)
    return { tokens: tensor(tokens, [batch, context]), targets: tensor(targets, [batch, context]) }
  })
  const trainingStep = jit((model: Gpt, optimizer: AdamW, tokens: Tensor, targets: Tensor) => {
    const { value, gradients } = valueAndGrad(model, (m) => crossEntropy(m.forward(tokens), targets))
    optimizer.update(model, clipByGlobalNorm(gradients, clipNorm).gradients)
    return value
  })
  let steps = 0
  const step = (): Tensor => {
    const { tokens, targets } = batches[steps++ % batchCount]!
    return trainingStep(model, optimizer, tokens, targets)
  }
  return {
    run: () => step().dispose(),
    settle: () => runtime.synchronize(),
    async output() {
      const losses = new Float32Array(checkedSteps)
      for (let index = 0; index < checkedSteps; index++) {
        const loss = step()
        losses[index] = await loss.item()
        loss.dispose()
      }
      return losses
    },
  }
}

/** With exact GELU, as in nanoGPT, where GPT-2 and Tessera's model take the approximation with tanh. */
class ExactFeedForward extends FeedForward {
  override forward(x: Tensor): Tensor {
    return this.projection.forward(this.expansion.forward(x).gelu())
  }
}

/** Places of nanoGPT's weights in Tessera's model, and whether they are stored [in, out] there. */
const places: readonly (readonly [pattern: RegExp, place: string, transposed: boolean])[] = [
  [/^transformer\.wte\.weight$/, 'tokenEmbedding.weight', false],
  [/^transformer\.wpe\.weight$/, 'positionEmbedding.weight', false],
  [/^transformer\.h\.(\d+)\.ln_1\.weight$/, 'blocks.$1.attentionNorm.gain', false],
  [/^transformer\.h\.(\d+)\.attn\.c_attn\.weight$/, 'blocks.$1.attention.queryKeyValue.weight', true],
  [/^transformer\.h\.(\d+)\.attn\.c_proj\.weight$/, 'blocks.$1.attention.projection.weight', true],
  [/^transformer\.h\.(\d+)\.ln_2\.weight$/, 'blocks.$1.feedForwardNorm.gain', false],
  [/^transformer\.h\.(\d+)\.mlp\.c_fc\.weight$/, 'blocks.$1.feedForward.expansion.weight', true],
  [/^transformer\.h\.(\d+)\.mlp\.c_proj\.weight$/, 'blocks.$1.feedForward.projection.weight', true],
  [/^transformer\.ln_f\.weight$/, 'finalNorm.gain', false],
]

export function loadParameters(model: Gpt, parameters: readonly GptParameter[]): void {
  const tensors = parameters.map(({ name, shape, values }) => {
    const found = places.find(([pattern]) => pattern.test(name))
    if (!found) throw new Error(`no place in Tessera's model is known for ${name}`)
    const [pattern, place, transposed] = found
    const stored = transposed ? transposedMatrix(values, shape[0]!, shape[1]!) : values
    const bytes = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength)
    const storedShape = transposed ? shape.toReversed() : shape
    return [`model.${name.replace(pattern, place)}`, { dtype: 'F32' as const, shape: storedShape, bytes }] as const
  })
  restoreCheckpoint({ tensors: new Map(tensors), metadata: { step: 0 } }, { model })
}
