import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

/** A tensor to put into a test's model. */
export interface TestTensor {
  readonly type: 'float' | 'int64' | 'int32' | 'bool' | 'double' | 'uint8'
  readonly shape: readonly number[]
  readonly data: ArrayLike<number>
}

export type TestAttribute =
  | number
  | string
  | readonly number[]
  | TestTensor
  | TestGraph
  | { readonly float: number }
  | { readonly floats: readonly number[] }

export interface TestNode {
  readonly op: string
  readonly domain?: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly attributes?: Readonly<Record<string, TestAttribute>>
}

export interface TestGraph {
  readonly nodes: readonly TestNode[]
  readonly inputs?: readonly {
    readonly name: string
    readonly type: TestTensor['type']
    readonly shape: readonly (number | string)[]
  }[]
  readonly outputs: readonly string[]
  readonly weights?: Readonly<Record<string, TestTensor>>
}

const codes = { float: 1, uint8: 2, int32: 6, int64: 7, bool: 9, double: 11 } as const

/** The element types of a test's values as typed arrays. */
export function arrayOf({
  type,
  data,
}: TestTensor): Float32Array | BigInt64Array | Int32Array | Uint8Array | Float64Array {
  const values = Array.from(data)
  if (type === 'float') return Float32Array.from(values)
  if (type === 'int64') return BigInt64Array.from(values, (value) => BigInt(value))
  if (type === 'int32') return Int32Array.from(values)
  return type === 'double' ? Float64Array.from(values) : Uint8Array.from(values)
}

/** Encodes a graph as an ONNX file of IR version 10. */
export function encodeOnnx(graph: TestGraph, opset = 17): Uint8Array {
  const writer = new BinaryWriter()
  writer.tag(1, WireType.Varint).int64(opset >= 23 ? 11 : 8)
  message(writer, 7, (inner) => writeGraph(inner, graph))
  message(writer, 8, (inner) => inner.tag(2, WireType.Varint).int64(opset))
  return writer.finish()
}

function message(writer: BinaryWriter, field: number, write: (writer: BinaryWriter) => void): void {
  writer.tag(field, WireType.LengthDelimited).fork()
  write(writer)
  writer.join()
}

const text = (writer: BinaryWriter, field: number, value: string) =>
  writer.tag(field, WireType.LengthDelimited).string(value)
const integer = (writer: BinaryWriter, field: number, value: number) =>
  writer.tag(field, WireType.Varint).int64(String(value))

function writeGraph(writer: BinaryWriter, { nodes, inputs = [], outputs, weights = {} }: TestGraph): void {
  for (const node of nodes) message(writer, 1, (inner) => writeNode(inner, node))
  text(writer, 2, 'test')
  for (const [name, tensor] of Object.entries(weights)) message(writer, 5, (inner) => writeTensor(inner, tensor, name))
  for (const { name, type, shape } of inputs) {
    message(writer, 11, (value) => {
      text(value, 1, name)
      message(value, 2, (outer) =>
        message(outer, 1, (tensorType) => {
          integer(tensorType, 1, codes[type])
          message(tensorType, 2, (dimensions) => {
            for (const extent of shape) {
              message(dimensions, 1, (dimension) => {
                if (typeof extent === 'number') integer(dimension, 1, extent)
                else text(dimension, 2, extent)
              })
            }
          })
        }),
      )
    })
  }
  // Without a type, which runtimes infer.
  for (const name of outputs) message(writer, 12, (value) => text(value, 1, name))
}

function writeNode(writer: BinaryWriter, { op, domain, inputs, outputs, attributes = {} }: TestNode): void {
  for (const name of inputs) text(writer, 1, name)
  for (const name of outputs) text(writer, 2, name)
  text(writer, 4, op)
  if (domain) text(writer, 7, domain)
  for (const [name, value] of Object.entries(attributes)) {
    message(writer, 5, (attribute) => {
      text(attribute, 1, name)
      writeAttribute(attribute, value)
    })
  }
}

function writeAttribute(writer: BinaryWriter, value: TestAttribute): void {
  const kind = (code: number) => integer(writer, 20, code)
  if (typeof value === 'number') {
    kind(2)
    integer(writer, 3, value)
  } else if (typeof value === 'string') {
    kind(3)
    text(writer, 4, value)
  } else if ('float' in value) {
    kind(1)
    writer.tag(2, WireType.Bit32).float(value.float)
  } else if ('floats' in value) {
    kind(6)
    for (const item of value.floats) writer.tag(7, WireType.Bit32).float(item)
  } else if ('nodes' in value) {
    kind(5)
    message(writer, 6, (inner) => writeGraph(inner, value))
  } else if ('data' in value) {
    kind(4)
    message(writer, 5, (inner) => writeTensor(inner, value))
  } else {
    kind(7)
    for (const item of value as readonly number[]) integer(writer, 8, item)
  }
}

function writeTensor(writer: BinaryWriter, tensor: TestTensor, name = ''): void {
  for (const extent of tensor.shape) integer(writer, 1, extent)
  integer(writer, 2, codes[tensor.type])
  text(writer, 8, name)
  const { buffer, byteOffset, byteLength } = arrayOf(tensor)
  writer.tag(9, WireType.LengthDelimited).bytes(new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength))
}
