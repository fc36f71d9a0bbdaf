import type { Tensor } from '@tessera/core'
import { OnnxError } from '../errors.ts'
import type { AttributeProto, GraphProto, NodeProto, TensorProto } from '../format/schema.ts'
import type { Constant } from '../format/tensor.ts'
import type { Result, Value } from './value.ts'

/** An operator's implementation: its outputs, one or several. */
export type Operator = (call: Call) => Result | readonly Result[]

/** What a call may ask of the graph around it. */
export interface CallScope {
  readonly opset: number
  tensorOf(proto: TensorProto): Constant
  /** Evaluates a graph inside of this one. */
  evaluate(graph: GraphProto): readonly Value[]
}

/** One node of the graph with its inputs. */
export class Call {
  readonly node: NodeProto
  readonly inputs: readonly (Value | undefined)[]
  readonly #scope: CallScope
  readonly #attributes: ReadonlyMap<string, AttributeProto>

  constructor(node: NodeProto, inputs: readonly (Value | undefined)[], scope: CallScope) {
    this.node = node
    this.inputs = inputs
    this.#scope = scope
    this.#attributes = new Map(node.attribute.map((attribute) => [attribute.name, attribute]))
  }

  /** Version of ONNX's operators that the model was written for. */
  get opset(): number {
    return this.#scope.opset
  }

  /** For messages. */
  get name(): string {
    const { opType, name, output } = this.node
    return `${opType} ${JSON.stringify(name || output[0])}`
  }

  has(index: number): boolean {
    return this.inputs[index] !== undefined
  }

  value(index: number): Value {
    const value = this.inputs[index]
    if (value) return value
    throw new OnnxError('ONNX_FILE', `${this.name} lacks its input ${index}.`)
  }

  tensor(index: number): Tensor {
    return this.value(index).tensor
  }

  optionalTensor(index: number): Tensor | undefined {
    return this.inputs[index]?.tensor
  }

  /** An input that must be known while the graph is recorded. */
  numbers(index: number, what: string): number[] {
    const { constant } = this.value(index)
    if (constant) return Array.from(constant.data)
    throw new OnnxError(
      'ONNX_UNSUPPORTED',
      `${this.name}: ${what} depends on data, so shapes would. Export the model with fixed ${what}.`,
    )
  }

  optionalNumbers(index: number, what: string): number[] | undefined {
    return this.has(index) ? this.numbers(index, what) : undefined
  }

  /** All inputs, when all of them are known. */
  constants(): readonly Constant[] | undefined {
    const constants = this.inputs.map((input) => input?.constant)
    return constants.every((constant) => constant !== undefined) ? constants : undefined
  }

  hasAttribute(name: string): boolean {
    return this.#attributes.has(name)
  }

  integer(name: string, otherwise: number): number {
    return this.#attributes.get(name)?.i ?? otherwise
  }

  integers(name: string): number[] | undefined {
    const attribute = this.#attributes.get(name)
    return attribute && [...attribute.ints]
  }

  float(name: string, otherwise: number): number {
    return this.#attributes.get(name)?.f ?? otherwise
  }

  floats(name: string): number[] | undefined {
    const attribute = this.#attributes.get(name)
    return attribute && [...attribute.floats]
  }

  text(name: string, otherwise: string): string {
    const attribute = this.#attributes.get(name)
    return attribute ? new TextDecoder().decode(attribute.s) : otherwise
  }

  texts(name: string): string[] {
    return (this.#attributes.get(name)?.strings ?? []).map((bytes) => new TextDecoder().decode(bytes))
  }

  constant(name: string): Constant | undefined {
    const proto = this.#attributes.get(name)?.t
    return proto && this.#scope.tensorOf(proto)
  }

  subgraph(name: string): readonly Value[] {
    const graph = this.#attributes.get(name)?.g
    if (!graph) throw new OnnxError('ONNX_FILE', `${this.name} lacks its graph ${name}.`)
    return this.#scope.evaluate(graph)
  }

  /** Attribute or, in later opsets, input: the axes to work on, all when there are none. */
  axes(input: number, rank: number): number[] | undefined {
    const given = this.integers('axes') ?? this.optionalNumbers(input, 'axes')
    return given?.map((axis) => (axis < 0 ? axis + rank : axis))
  }

  unsupported(what: string): never {
    throw new OnnxError('ONNX_UNSUPPORTED', `${this.name}: ${what} is not supported.`)
  }
}
