import { jit, type Runtime, randomKey, type Tensor, tensor, zeros } from '@tessera/core'
import { Gpt, gptConfiguration, type LayerCache, quantizeGpt } from '@tessera/models-gpt'
import { decodedToken, decodeParameters, type GptDecodeCase, pastOf } from '../cases/gpt-decode.ts'
import type { PreparedCase } from './implementation.ts'
import { loadParameters } from './tessera-gpt-step.ts'

/** Tessera reads one token into a cache of the whole context, at the same place each time. */
export function prepareGptDecode(runtime: Runtime, benchmarkCase: GptDecodeCase): PreparedCase {
  const { layers, heads, width, context, vocabulary, past, weights } = benchmarkCase
  const model = new Gpt(
    gptConfiguration({ layers, heads, width, blockSize: context, vocabularySize: vocabulary, biases: false }),
    randomKey(0),
  )
  loadParameters(model, [...decodeParameters(benchmarkCase).values()])
  const used = weights === 'f32' ? model : quantizeGpt(model, weights)
  used.eval()
  const empty = zeros([1, heads, context, width / heads])
  const filled = (layer: number, which: 'keys' | 'values'): Tensor => {
    const given = tensor(pastOf(benchmarkCase, layer, which), [1, heads, past, width / heads])
    return empty.scatterSet(tensor(Int32Array.from({ length: past }, (_, i) => i)), given, 2).realize()
  }
  const state = {
    layers: Array.from(
      { length: layers },
      (_, layer): LayerCache => ({
        keys: filled(layer, 'keys'),
        values: filled(layer, 'values'),
      }),
    ),
  }
  const token = tensor(Int32Array.of(decodedToken), [1, 1])
  const position = tensor(Int32Array.of(past), [])
  const decode = jit((each: Gpt, cache: typeof state, read: Tensor, at: Tensor) =>
    each.logits(each.hidden(read, { position: at, layers: cache.layers })),
  )
  return {
    run: () => decode(used, state, token, position).dispose(),
    settle: () => runtime.synchronize(),
    output: async () => (await decode(used, state, token, position).data()) as Float32Array,
    dispose() {
      for (const { keys, values } of state.layers) for (const each of [keys, values]) each.dispose()
      for (const each of Object.values(model.parameters())) each.dispose()
    },
  }
}
