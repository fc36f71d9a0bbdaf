/** The part of ONNX's schema (onnx.proto3 of ONNX 1.19) that inference graphs need. Unknown fields are skipped. */

export interface ModelProto {
  readonly irVersion: number
  readonly producerName: string
  readonly graph: GraphProto | undefined
  readonly opsetImport: readonly { readonly domain: string; readonly version: number }[]
  readonly functions: readonly unknown[]
}

export interface GraphProto {
  readonly name: string
  readonly node: readonly NodeProto[]
  readonly initializer: readonly TensorProto[]
  readonly sparseInitializer: readonly unknown[]
  readonly input: readonly ValueInfoProto[]
  readonly output: readonly ValueInfoProto[]
}

export interface NodeProto {
  readonly input: readonly string[]
  readonly output: readonly string[]
  readonly name: string
  readonly opType: string
  readonly domain: string
  readonly attribute: readonly AttributeProto[]
}

export interface AttributeProto {
  readonly name: string
  readonly f: number
  readonly i: number
  readonly s: Uint8Array
  readonly t: TensorProto | undefined
  readonly g: GraphProto | undefined
  readonly floats: readonly number[]
  readonly ints: readonly number[]
  readonly strings: readonly Uint8Array[]
}

export interface TensorProto {
  readonly name: string
  readonly dims: readonly number[]
  readonly dataType: number
  readonly floatData: readonly number[]
  readonly int32Data: readonly number[]
  readonly int64Data: readonly number[]
  readonly uint64Data: readonly number[]
  readonly doubleData: readonly number[]
  readonly rawData: Uint8Array
  readonly externalData: readonly { readonly key: string; readonly value: string }[]
  /** 1: the data is in another file. */
  readonly dataLocation: number
}

export interface ValueInfoProto {
  readonly name: string
  readonly type:
    | {
        readonly tensorType:
          | {
              readonly elemType: number
              readonly shape:
                | { readonly dim: readonly { readonly dimValue: number; readonly dimParam: string }[] }
                | undefined
            }
          | undefined
      }
    | undefined
}

export type Scalar = 'int' | 'float' | 'double' | 'string' | 'bytes'

/** A field of a message: its name here, its type, and whether there may be several. */
export interface Field {
  readonly name: string
  readonly type: Scalar | (() => Message)
  readonly repeated?: boolean
}

/** Fields by number. */
export type Message = Readonly<Record<number, Field>>

const one = (name: string, type: Field['type']): Field => ({ name, type })
const many = (name: string, type: Field['type']): Field => ({ name, type, repeated: true })

const entry: Message = { 1: one('key', 'string'), 2: one('value', 'string') }

const tensor: Message = {
  1: many('dims', 'int'),
  2: one('dataType', 'int'),
  4: many('floatData', 'float'),
  5: many('int32Data', 'int'),
  7: many('int64Data', 'int'),
  8: one('name', 'string'),
  9: one('rawData', 'bytes'),
  10: many('doubleData', 'double'),
  11: many('uint64Data', 'int'),
  13: many('externalData', () => entry),
  14: one('dataLocation', 'int'),
}

const dimension: Message = { 1: one('dimValue', 'int'), 2: one('dimParam', 'string') }
const shape: Message = { 1: many('dim', () => dimension) }
const tensorType: Message = { 1: one('elemType', 'int'), 2: one('shape', () => shape) }
const type: Message = { 1: one('tensorType', () => tensorType) }
const valueInfo: Message = { 1: one('name', 'string'), 2: one('type', () => type) }

const attribute: Message = {
  1: one('name', 'string'),
  2: one('f', 'float'),
  3: one('i', 'int'),
  4: one('s', 'bytes'),
  5: one('t', () => tensor),
  6: one('g', () => graph),
  7: many('floats', 'float'),
  8: many('ints', 'int'),
  9: many('strings', 'bytes'),
}

const node: Message = {
  1: many('input', 'string'),
  2: many('output', 'string'),
  3: one('name', 'string'),
  4: one('opType', 'string'),
  5: many('attribute', () => attribute),
  7: one('domain', 'string'),
}

const graph: Message = {
  1: many('node', () => node),
  2: one('name', 'string'),
  5: many('initializer', () => tensor),
  11: many('input', () => valueInfo),
  12: many('output', () => valueInfo),
  15: many('sparseInitializer', 'bytes'),
}

const opset: Message = { 1: one('domain', 'string'), 2: one('version', 'int') }

export const model: Message = {
  1: one('irVersion', 'int'),
  2: one('producerName', 'string'),
  7: one('graph', () => graph),
  8: many('opsetImport', () => opset),
  25: many('functions', 'bytes'),
}
