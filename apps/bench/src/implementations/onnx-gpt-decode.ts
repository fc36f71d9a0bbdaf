import type { InferenceSession } from 'onnxruntime-web'
import { decodedToken, decodeParameters, type GptDecodeCase, pastOf } from '../cases/gpt-decode.ts'
import type { GptParameter } from '../cases/gpt-step.ts'
import { transposedMatrix } from '../cases/inputs.ts'
import type { PreparedCase } from './implementation.ts'
import { encodeOnnxModel, type OnnxConstant, type OnnxNode, type OnnxValue } from './onnx-model.ts'
import type { Library } from './onnxruntime.ts'

/**
 * onnxruntime's decoding step, as exporters write it: the weights are constants of the graph, which it packs when the session is made, keys and
 * values of the past are inputs. `int8` quantises activations for each product (DynamicQuantizeLinear, MatMulInteger), as
 * transformers.js' `q8` models do, but keeps the table of tokens for looking up in f32. Weights of 16 bits it would widen when the session is made.
 */
export async function prepareGptDecode(
  { InferenceSession, Tensor }: Library,
  benchmarkCase: GptDecodeCase,
  options: InferenceSession.SessionOptions,
): Promise<PreparedCase | undefined> {
  if (benchmarkCase.weights === 'f16' || benchmarkCase.weights === 'bf16') return undefined
  const graph = new DecodeGraph(benchmarkCase)
  const session = await InferenceSession.create(graph.encode(), options)
  const feeds = Object.fromEntries(
    graph.past.map(({ name, shape, values }) => [name, new Tensor('float32', values, [...shape])]),
  )
  return {
    async run() {
      await session.run(feeds)
    },
    output: async () => (await session.run(feeds)).logits!.data as Float32Array,
    dispose: () => session.release(),
  }
}

class DecodeGraph {
  readonly past: (OnnxValue & { readonly values: Float32Array })[] = []
  readonly #case: GptDecodeCase
  readonly #parameters: Map<string, GptParameter>
  readonly #nodes: OnnxNode[] = []
  readonly #constants = new Map<string, OnnxConstant>()
  readonly #logits: string

  constructor(benchmarkCase: GptDecodeCase) {
    this.#case = benchmarkCase
    this.#parameters = decodeParameters(benchmarkCase)
    const { layers, past } = benchmarkCase
    const [tokens, places] = [this.#parameter('wte'), this.#parameter('wpe')]
    const row = (table: string, index: number) => this.#node('Gather', [table, this.#integers([index])])
    let x = this.#node('Add', [row(tokens, decodedToken), row(places, past)]) // [1, width]
    for (let layer = 0; layer < layers; layer++) {
      const attended = this.#attention(this.#normalized(x, `h.${layer}.ln_1`), layer)
      x = this.#node('Add', [x, this.#product(attended, `h.${layer}.attn.c_proj`)])
      const inner = this.#gelu(this.#product(this.#normalized(x, `h.${layer}.ln_2`), `h.${layer}.mlp.c_fc`))
      x = this.#node('Add', [x, this.#product(inner, `h.${layer}.mlp.c_proj`)])
    }
    this.#logits = this.#product(this.#normalized(x, 'ln_f'), 'wte')
    this.#nodes.push({
      op: 'Reshape',
      inputs: [this.#logits, this.#integers([1, benchmarkCase.vocabulary])],
      outputs: ['logits'],
    })
  }

  encode(): Uint8Array {
    return encodeOnnxModel({
      inputs: this.past,
      outputs: [{ name: 'logits', shape: [1, this.#case.vocabulary] }],
      nodes: this.#nodes,
      constants: [...this.#constants.values()],
    })
  }

  #node(op: string, inputs: readonly string[], attributes: Omit<OnnxNode, 'op' | 'inputs' | 'outputs'> = {}): string {
    const output = `v${this.#nodes.length}`
    this.#nodes.push({ op, inputs, outputs: [output], ...attributes })
    return output
  }

  #constant(name: string, shape: readonly number[], values: OnnxConstant['values']): string {
    if (!this.#constants.has(name)) this.#constants.set(name, { name, shape, values })
    return name
  }

  #integers(values: readonly number[]): string {
    return this.#constant(`i${values.join('_')}`, [values.length], BigInt64Array.from(values, BigInt))
  }

  #scalar(value: number): string {
    return this.#constant(`f${value}`, [], Float32Array.of(value))
  }

  #parameter(name: string): string {
    const { shape, values } = this.#parameters.get(`transformer.${name}.weight`)!
    return this.#constant(name, shape, values)
  }

  #normalized(x: string, name: string): string {
    return this.#node('LayerNormalization', [x, this.#parameter(name)], {
      integers: { axis: -1 },
      floats: { epsilon: 1e-5 },
    })
  }

  /** x [1, in] times a parameter [out, in]. */
  #product(x: string, name: string): string {
    const { shape, values } = this.#parameters.get(`transformer.${name}.weight`)!
    const [rows, columns] = shape as [number, number]
    if (this.#case.weights === 'f32') {
      // What exporters write: the constant lies [in, out], but for the output layer, which is tied to the table.
      if (name === 'wte') return this.#node('Gemm', [x, this.#parameter(name)], { integers: { transB: 1 } })
      const weight = this.#constant(`${name}.t`, [columns, rows], transposedMatrix(values, rows, columns))
      return this.#node('MatMul', [x, weight])
    }
    const { codes, scales } = rounded(values, rows, columns)
    const weight = this.#constant(`${name}.q`, [columns, rows], codes)
    const [quantized, scale, zero] = [`${name}.x`, `${name}.s`, `${name}.z`]
    this.#nodes.push({ op: 'DynamicQuantizeLinear', inputs: [x], outputs: [quantized, scale, zero] })
    const sums = this.#node('MatMulInteger', [quantized, weight, zero])
    const floats = this.#node('Cast', [sums], { integers: { to: 1 } })
    return this.#node('Mul', [floats, this.#node('Mul', [scale, this.#constant(`${name}.scales`, [rows], scales)])])
  }

  #gelu(x: string): string {
    const cube = this.#node('Mul', [this.#node('Mul', [x, x]), x])
    const inner = this.#node('Add', [x, this.#node('Mul', [cube, this.#scalar(0.044715)])])
    const tanh = this.#node('Tanh', [this.#node('Mul', [inner, this.#scalar(Math.sqrt(2 / Math.PI))])])
    return this.#node('Mul', [this.#node('Mul', [x, this.#node('Add', [tanh, this.#scalar(1)])]), this.#scalar(0.5)])
  }

  #attention(x: string, layer: number): string {
    const { heads, width, past } = this.#case
    const size = width / heads
    const all = this.#product(x, `h.${layer}.attn.c_attn`)
    const parts = ['q', 'k', 'v'].map((part) => `h${layer}.${part}`)
    this.#nodes.push({ op: 'Split', inputs: [all], outputs: parts, integers: { axis: 1 } })
    const [query, key, value] = parts.map((part) =>
      this.#node('Reshape', [part, this.#integers([heads, 1, size])]),
    ) as [string, string, string]
    const joined = (which: 'keys' | 'values', own: string): string => {
      const given = { name: `h${layer}.${which}`, shape: [heads, past, size], values: pastOf(this.#case, layer, which) }
      this.past.push(given)
      return this.#node('Concat', [given.name, own], { integers: { axis: 1 } })
    }
    const keys = this.#node('Transpose', [joined('keys', key)], { lists: { perm: [0, 2, 1] } })
    const scaled = this.#node('Mul', [this.#node('MatMul', [query, keys]), this.#scalar(1 / Math.sqrt(size))])
    const weights = this.#node('Softmax', [scaled], { integers: { axis: -1 } })
    const mixed = this.#node('MatMul', [weights, joined('values', value)]) // [heads, 1, size]
    return this.#node('Reshape', [mixed, this.#integers([1, width])])
  }
}

/** Rows rounded to multiples of their largest magnitude over 127, transposed. */
function rounded(values: Float32Array, rows: number, columns: number): { codes: Int8Array; scales: Float32Array } {
  const codes = new Int8Array(values.length)
  const scales = new Float32Array(rows)
  for (let i = 0; i < rows; i++) {
    let largest = 0
    for (let j = 0; j < columns; j++) largest = Math.max(largest, Math.abs(values[i * columns + j]!))
    const scale = largest / 127 || 1
    scales[i] = scale
    for (let j = 0; j < columns; j++) codes[j * rows + i] = Math.round(values[i * columns + j]! / scale)
  }
  return { codes, scales }
}
