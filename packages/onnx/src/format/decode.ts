import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import { OnnxError } from '../errors.ts'
import { type Field, type Message, type ModelProto, model, type Scalar } from './schema.ts'

/** Graphs inside of graphs; no exporter comes near. */
const maximumDepth = 64

/**
 * Decodes the bytes of an ONNX file, which count as untrusted.
 *
 * @throws OnnxError with code `ONNX_FILE` when they are none
 */
export function decodeModel(bytes: Uint8Array): ModelProto {
  try {
    const decoded = decodeMessage(new BinaryReader(bytes), bytes.length, model, 0) as unknown as ModelProto
    if (decoded.graph && decoded.irVersion > 0) return decoded
  } catch (cause) {
    throw new OnnxError(
      'ONNX_FILE',
      `The ${bytes.length} bytes are no ONNX file, or a damaged one: ${(cause as Error).message}.`,
      { cause },
    )
  }
  throw new OnnxError('ONNX_FILE', `The ${bytes.length} bytes are no ONNX model: there is no graph in them.`)
}

function decodeMessage(reader: BinaryReader, end: number, message: Message, depth: number): Record<string, unknown> {
  if (depth > maximumDepth) throw new RangeError(`messages are nested more than ${maximumDepth} deep`)
  const result = emptyMessage(message)
  while (reader.pos < end) {
    const [number, wireType] = reader.tag()
    const field = message[number]
    if (!field) reader.skip(wireType, number)
    else decodeField(reader, wireType, field, result, depth)
  }
  if (reader.pos !== end) throw new RangeError('a message is longer than it says')
  return result
}

function emptyMessage(message: Message): Record<string, unknown> {
  const defaults: Record<Scalar, unknown> = { int: 0, float: 0, double: 0, string: '', bytes: new Uint8Array(0) }
  return Object.fromEntries(
    Object.values(message).map(({ name, type, repeated }) => [
      name,
      repeated ? [] : typeof type === 'string' ? defaults[type] : undefined,
    ]),
  )
}

function decodeField(
  reader: BinaryReader,
  wireType: WireType,
  field: Field,
  into: Record<string, unknown>,
  depth: number,
): void {
  const { name, type, repeated } = field
  if (typeof type === 'function') {
    expectWireType(wireType, WireType.LengthDelimited, name)
    const length = reader.uint32()
    const value = decodeMessage(reader, within(reader, length), type(), depth + 1)
    if (repeated) (into[name] as unknown[]).push(value)
    else into[name] = value
    return
  }
  const isNumber = type !== 'string' && type !== 'bytes'
  if (repeated && isNumber && wireType === WireType.LengthDelimited) {
    const end = within(reader, reader.uint32())
    while (reader.pos < end) (into[name] as number[]).push(decodeScalar(reader, type) as number)
    if (reader.pos !== end) throw new RangeError(`the numbers of ${name} end in the middle of one`)
    return
  }
  expectWireType(wireType, wireTypes[type], name)
  const value = decodeScalar(reader, type)
  if (repeated) (into[name] as unknown[]).push(value)
  else into[name] = value
}

const wireTypes: Readonly<Record<Scalar, WireType>> = {
  int: WireType.Varint,
  float: WireType.Bit32,
  double: WireType.Bit64,
  string: WireType.LengthDelimited,
  bytes: WireType.LengthDelimited,
}

function expectWireType(found: WireType, wanted: WireType, name: string): void {
  if (found !== wanted) throw new RangeError(`${name} is encoded as type ${found}, not ${wanted}`)
}

function within(reader: BinaryReader, length: number): number {
  if (reader.pos + length > reader.len) throw new RangeError('the file ends early')
  return reader.pos + length
}

/** Integers become numbers: indices beyond 2^53, such as "to the end", lose digits that nobody needs. */
function decodeScalar(reader: BinaryReader, type: Scalar): unknown {
  switch (type) {
    case 'int':
      return Number(reader.int64())
    case 'float':
      return reader.float()
    case 'double':
      return reader.double()
    case 'string':
      return reader.string()
    case 'bytes':
      return reader.bytes()
  }
}
