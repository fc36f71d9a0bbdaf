import { type DType, isFloat, type Tensor } from '@tessera/core'
import { Module } from '@tessera/nn'
import { OnnxError } from './errors.ts'
import { decodeModel } from './format/decode.ts'
import { elementType } from './format/elements.ts'
import type { AttributeProto, GraphProto, ModelProto, ValueInfoProto } from './format/schema.ts'
import { type Constant, constantTensor, type ExternalData, readTensor } from './format/tensor.ts'
import type { Operator } from './graph/call.ts'
import { type Environment, evaluateGraph, operatorKey } from './graph/evaluate.ts'
import { toValue, Value } from './graph/value.ts'
import { operators, supportedOperators } from './operators/index.ts'

export interface ImportOptions {
  /** Bytes of the files beside the model that hold its weights, by the names that the model has for them. */
  readonly externalData?: ExternalData
  /** Implementations of operators that this package lacks, or does otherwise: by name, with the domain in front if it has one, as `com.example.Scale`. */
  readonly operators?: Readonly<Record<string, Operator>>
}

/** An input or output of a graph. */
export interface OnnxPort {
  readonly name: string
  readonly dtype: DType
  /** Extents; a text is one that may differ from call to call. `undefined`: not even the number of axes is known. */
  readonly shape: readonly (number | string)[] | undefined
}

/** Constants of at most so many elements are known while a graph is recorded, where shapes may depend on them. */
const knownElements = 4096

/**
 * An inference graph of an ONNX file as a module. Weights are parameters: they can be trained, saved and passed through `jit` like those of any module. Shapes
 * follow those of the inputs, so a graph with free extents takes all of them.
 */
export class OnnxModel extends Module {
  /** Floating-point weights by their names in the file. */
  readonly weights: Record<string, Tensor>
  readonly inputs: readonly OnnxPort[]
  readonly outputs: readonly OnnxPort[]
  readonly #graph: GraphProto
  readonly #constants: ReadonlyMap<string, Constant>
  readonly #environment: Environment

  /** @internal Use `importOnnx`. */
  constructor(graph: GraphProto, environment: Environment) {
    super()
    this.#graph = graph
    this.#environment = environment
    this.weights = {}
    const constants = new Map<string, Constant>()
    for (const proto of graph.initializer) {
      const constant = readTensor(proto, environment.externalData)
      if (isFloat(constant.type.dtype)) this.weights[proto.name] = constantTensor(constant)
      if (!isFloat(constant.type.dtype) || constant.data.length <= 64) constants.set(proto.name, constant)
    }
    this.#constants = constants
    const given = new Set(graph.initializer.map(({ name }) => name))
    // Older files list weights among the inputs.
    this.inputs = graph.input.filter(({ name }) => !given.has(name)).map(portOf)
    this.outputs = graph.output.map(portOf)
  }

  /**
   * All outputs by name.
   *
   * @throws OnnxError with code `ONNX_INPUT` when inputs are missing or do not fit, or `ONNX_UNSUPPORTED` when a shape depends on data
   */
  run(inputs: Readonly<Record<string, Tensor>>): Record<string, Tensor> {
    const values = new Map<string, Value>()
    for (const [name, constant] of this.#constants) {
      const isSmall = constant.data.length <= knownElements
      values.set(
        name,
        new Value(
          this.weights[name] ?? (isSmall ? undefined : constantTensor(constant)),
          isSmall ? constant : undefined,
        ),
      )
    }
    for (const [name, weight] of Object.entries(this.weights)) if (!values.has(name)) values.set(name, toValue(weight))
    for (const port of this.inputs) {
      const input = inputs[port.name]
      checkInput(port, input, this.inputs)
      values.set(port.name, toValue(input))
    }
    const results = evaluateGraph(this.#graph, values, this.#environment)
    return Object.fromEntries(this.outputs.map(({ name }, i) => [name, results[i]!.tensor]))
  }

  /** The first output for inputs in the order of `inputs`. */
  forward(...inputs: readonly Tensor[]): Tensor {
    const named = Object.fromEntries(this.inputs.flatMap(({ name }, i) => (inputs[i] ? [[name, inputs[i]]] : [])))
    return this.run(named)[this.outputs[0]!.name]!
  }
}

function portOf({ name, type }: ValueInfoProto): OnnxPort {
  const tensor = type?.tensorType
  return {
    name,
    dtype: tensor ? elementType(tensor.elemType, `the value ${JSON.stringify(name)}`).dtype : 'f32',
    shape: tensor?.shape?.dim.map(({ dimValue, dimParam }, axis) =>
      dimParam !== '' ? dimParam : dimValue > 0 ? dimValue : `axis ${axis}`,
    ),
  }
}

function checkInput(
  { name, dtype, shape }: OnnxPort,
  input: Tensor | undefined,
  all: readonly OnnxPort[],
): asserts input is Tensor {
  if (!input) {
    throw new OnnxError(
      'ONNX_INPUT',
      `The input ${JSON.stringify(name)} is missing. The graph takes ${all.map((port) => port.name).join(', ')}.`,
    )
  }
  const fits =
    input.dtype === dtype &&
    (!shape ||
      (shape.length === input.rank &&
        shape.every((extent, axis) => typeof extent === 'string' || extent === input.shape[axis])))
  if (!fits) {
    throw new OnnxError(
      'ONNX_INPUT',
      `The input ${JSON.stringify(name)} must be ${dtype}[${shape?.join(', ') ?? '…'}], got ${input}.`,
    )
  }
}

/**
 * Reads an inference graph of an ONNX file from untrusted bytes.
 *
 * 64-bit integers become 32-bit ones, in which indices and shapes fit. Graphs that need what is not supported are refused at once, with a list.
 *
 * @throws OnnxError with code `ONNX_FILE` or `ONNX_UNSUPPORTED`
 * @example
 * ```ts no-run
 * import { jit, zeros, type Tensor } from '@tessera/core'
 * import { importOnnx, type OnnxModel } from '@tessera/onnx'
 * const model = importOnnx(new Uint8Array(await (await fetch('resnet18.onnx')).arrayBuffer()))
 * console.log(model.inputs) // [{ name: 'input', dtype: 'f32', shape: ['batch', 3, 224, 224] }]
 * const run = jit((model: OnnxModel, image: Tensor) => model.forward(image).softmax())
 * console.log(await run(model, zeros([1, 3, 224, 224])).data())
 * ```
 */
export function importOnnx(bytes: Uint8Array, options: ImportOptions = {}): OnnxModel {
  const proto = decodeModel(bytes)
  const all = { ...operators, ...options.operators }
  checkSupport(proto, all)
  const opset = proto.opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version ?? 1
  return new OnnxModel(proto.graph!, { opset, operators: all, externalData: options.externalData })
}

/** Names everything that is missing at once. */
function checkSupport({ graph, functions }: ModelProto, available: Readonly<Record<string, Operator>>): void {
  const missing = new Map<string, number>()
  const visit = ({ node, sparseInitializer }: GraphProto): void => {
    if (sparseInitializer.length > 0) missing.set('sparse weights', sparseInitializer.length)
    for (const item of node) {
      const key = operatorKey(item)
      if (!Object.hasOwn(available, key)) missing.set(key, (missing.get(key) ?? 0) + 1)
      for (const attribute of item.attribute as readonly AttributeProto[]) if (attribute.g) visit(attribute.g)
    }
  }
  visit(graph!)
  if (functions.length > 0) missing.set('functions of the model', functions.length)
  if (missing.size === 0) return
  const list = [...missing].map(([name, count]) => (count === 1 ? name : `${name} (${count} times)`)).sort()
  throw new OnnxError(
    'ONNX_UNSUPPORTED',
    `The graph needs what is not supported: ${list.join(', ')}. Give implementations, importOnnx(bytes, { operators: { ${list[0]!.split(' ')[0]}: (call) => … } }), ` +
      `or export the model with other operators: ${supportedOperators.length} are supported, supportedOperators lists them.`,
  )
}
