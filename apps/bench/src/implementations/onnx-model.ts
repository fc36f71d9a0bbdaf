import { parse } from 'protobufjs'

/** The part of ONNX's schema (onnx/onnx.proto, IR version 8) that the models here need. */
const schema = `
syntax = "proto2";
package onnx;
message AttributeProto { optional string name = 1; optional float f = 2; optional int64 i = 3; repeated int64 ints = 8; optional int32 type = 20; }
message NodeProto { repeated string input = 1; repeated string output = 2; optional string op_type = 4; repeated AttributeProto attribute = 5; }
message Dimension { optional int64 dim_value = 1; }
message TensorShapeProto { repeated Dimension dim = 1; }
message TensorTypeProto { optional int32 elem_type = 1; optional TensorShapeProto shape = 2; }
message TypeProto { optional TensorTypeProto tensor_type = 1; }
message ValueInfoProto { optional string name = 1; optional TypeProto type = 2; }
message TensorProto { repeated int64 dims = 1; optional int32 data_type = 2; optional string name = 8; optional bytes raw_data = 9; }
message GraphProto { repeated NodeProto node = 1; optional string name = 2; repeated TensorProto initializer = 5; repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12; }
message OperatorSetIdProto { optional string domain = 1; optional int64 version = 2; }
message ModelProto { optional int64 ir_version = 1; optional GraphProto graph = 7; repeated OperatorSetIdProto opset_import = 8; }
`

const irVersion = 8
const opsetVersion = 17
const floatElement = 1
const int8Element = 3
const int64Element = 7
/** By what an attribute holds. */
const attributeTypes = { f: 1, i: 2, ints: 7 } as const

/** A tensor that is part of the graph: f32, i8 or i64. */
export interface OnnxConstant extends OnnxValue {
  readonly values: Float32Array | Int8Array | BigInt64Array
}

/** A float32 tensor that enters or leaves the graph. */
export interface OnnxValue {
  readonly name: string
  readonly shape: readonly number[]
}

export interface OnnxNode {
  readonly op: string
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  readonly integers?: Readonly<Record<string, number>>
  readonly floats?: Readonly<Record<string, number>>
  readonly lists?: Readonly<Record<string, readonly number[]>>
}

/** Encodes a graph as an ONNX file. */
export function encodeOnnxModel(graph: {
  inputs: readonly OnnxValue[]
  outputs: readonly OnnxValue[]
  nodes: readonly OnnxNode[]
  constants?: readonly OnnxConstant[]
}): Uint8Array {
  const value = ({ name, shape }: OnnxValue): object => ({
    name,
    type: { tensorType: { elemType: floatElement, shape: { dim: shape.map((length) => ({ dimValue: length })) } } },
  })
  const node = ({ op, inputs, outputs, integers = {}, floats = {}, lists = {} }: OnnxNode): object => ({
    opType: op,
    input: inputs,
    output: outputs,
    attribute: [
      ...Object.entries(integers).map(([name, i]) => ({ name, i, type: attributeTypes.i })),
      ...Object.entries(floats).map(([name, f]) => ({ name, f, type: attributeTypes.f })),
      ...Object.entries(lists).map(([name, ints]) => ({ name, ints, type: attributeTypes.ints })),
    ],
  })
  const constant = ({ name, shape, values }: OnnxConstant): object => ({
    name,
    dims: shape,
    dataType: values instanceof Float32Array ? floatElement : values instanceof Int8Array ? int8Element : int64Element,
    rawData: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  })
  const model = parse(schema).root.lookupType('onnx.ModelProto')
  return model
    .encode(
      model.fromObject({
        irVersion,
        opsetImport: [{ domain: '', version: opsetVersion }],
        graph: {
          name: 'benchmark',
          input: graph.inputs.map(value),
          output: graph.outputs.map(value),
          node: graph.nodes.map(node),
          initializer: (graph.constants ?? []).map(constant),
        },
      }),
    )
    .finish()
}
