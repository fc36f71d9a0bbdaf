import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SafetensorsError } from './errors.ts'
import { parseSafetensors, parseSafetensorsHeader, safetensorsHeaderLength, safetensorsValues } from './index.ts'
import { serializeSafetensors } from './writer.ts'

/** A file with the given header text and a number of data bytes, whether or not they agree. */
function fileOf(header: string | Uint8Array, dataLength = 0): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header
  const file = new Uint8Array(8 + text.length + dataLength)
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true)
  file.set(text, 8)
  return file
}

function tensor(shape: unknown, offsets: unknown, dtype: unknown = 'F32'): string {
  return `{"dtype":${JSON.stringify(dtype)},"shape":${JSON.stringify(shape)},"data_offsets":${JSON.stringify(offsets)}}`
}

function errorOf(run: () => unknown): SafetensorsError {
  try {
    run()
  } catch (error) {
    if (error instanceof SafetensorsError) return error
    throw error
  }
  throw new Error('expected a SafetensorsError, but nothing was thrown')
}

describe('parseSafetensors', () => {
  it('gives metadata, and tensors as views of the bytes in the order of the header', () => {
    const header = `{"__metadata__":{"format":"pt"},"b":${tensor([2], [4, 12])},"a":${tensor([], [0, 4])}}`
    const bytes = fileOf(header, 12)
    new DataView(bytes.buffer).setFloat32(bytes.length - 12, 1.5, true)
    const { metadata, tensors } = parseSafetensors(bytes)
    expect(metadata).toEqual({ format: 'pt' })
    expect([...tensors.keys()]).toEqual(['b', 'a'])
    expect(tensors.get('a')).toMatchObject({ dtype: 'F32', shape: [] })
    expect(tensors.get('a')?.bytes.buffer).toBe(bytes.buffer)
    expect(safetensorsValues(tensors.get('a')!)).toEqual(new Float32Array([1.5]))
  })

  it('reads an ArrayBuffer, a view at an offset and shared memory alike', () => {
    const bytes = serializeSafetensors({ x: { dtype: 'U8', shape: [3], bytes: new Uint8Array([1, 2, 3]) } })
    const moved = new Uint8Array(bytes.length + 5)
    moved.set(bytes, 5)
    const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
    shared.set(bytes)
    for (const source of [bytes.buffer, moved.subarray(5), shared]) {
      expect([...parseSafetensors(source).tensors.get('x')!.bytes]).toEqual([1, 2, 3])
    }
  })

  it('accepts a file without tensors, tensors without elements, and spaces after the JSON text', () => {
    expect(parseSafetensors(fileOf('{}      ')).tensors.size).toBe(0)
    const header = `{"empty":${tensor([0, 3], [4, 4])},"x":${tensor([1], [0, 4])},"end":${tensor([2, 0], [4, 4])}}`
    expect(parseSafetensors(fileOf(header, 4)).tensors.get('empty')?.bytes.length).toBe(0)
  })

  const corruptions: [what: string, file: Uint8Array, code: string, message: RegExp][] = [
    ['no bytes', new Uint8Array(0), 'SAFETENSORS_TRUNCATED', /0 bytes/],
    ['7 bytes', new Uint8Array(7), 'SAFETENSORS_TRUNCATED', /7 bytes/],
    ['a header longer than the file', fileOf('{}').subarray(0, 9), 'SAFETENSORS_TRUNCATED', /2 bytes, but only 1/],
    ['a header over 100 MB', new Uint8Array(8).fill(255), 'SAFETENSORS_HEADER_TOO_LARGE', /18446744073709551615/],
    ['an empty header', fileOf(''), 'SAFETENSORS_HEADER_INVALID', /begin with/],
    ['invalid UTF-8', fileOf(new Uint8Array([0x7b, 0xff, 0x7d])), 'SAFETENSORS_HEADER_INVALID', /UTF-8/],
    ['a byte order mark', fileOf('\ufeff{}'), 'SAFETENSORS_HEADER_INVALID', /begin with/],
    ['no JSON', fileOf('{"a":}'), 'SAFETENSORS_HEADER_INVALID', /JSON/],
    ['an open string', fileOf('{"a'), 'SAFETENSORS_HEADER_INVALID', /never ends/],
    ['a bad escape in a name', fileOf('{"\\x":1}'), 'SAFETENSORS_HEADER_INVALID', /JSON/],
    ['an array', fileOf('[]'), 'SAFETENSORS_HEADER_INVALID', /JSON object/],
    ['text after the object', fileOf('{}{}'), 'SAFETENSORS_HEADER_INVALID', /JSON/],
    ['deep arrays', fileOf(`{"a":${'['.repeat(1e6)}`), 'SAFETENSORS_HEADER_INVALID', /deeper than 3/],
    ['deep objects', fileOf('{"a":'.repeat(1e6)), 'SAFETENSORS_HEADER_INVALID', /deeper than 3/],
    ['a tensor that is a number', fileOf('{"a":1}'), 'SAFETENSORS_HEADER_INVALID', /"a" must be described/],
    ['a tensor that is an array', fileOf('{"a":[]}'), 'SAFETENSORS_HEADER_INVALID', /"a" must be described/],
    ['a missing field', fileOf('{"a":{"dtype":"F32","shape":[]}}'), 'SAFETENSORS_HEADER_INVALID', /dtype, shape/],
    ['metadata that is no object', fileOf('{"__metadata__":"x"}'), 'SAFETENSORS_HEADER_INVALID', /__metadata__/],
    ['metadata that is no string', fileOf('{"__metadata__":{"a":1}}'), 'SAFETENSORS_HEADER_INVALID', /"a" to 1/],
    ['an unknown dtype', fileOf(`{"a":${tensor([1], [0, 4], 'F31')}}`, 4), 'SAFETENSORS_DTYPE_UNKNOWN', /"F31"/],
    ['an inherited dtype', fileOf(`{"a":${tensor([1], [0, 4], 'toString')}}`, 4), 'SAFETENSORS_DTYPE_UNKNOWN', /known/],
    ['a dtype that is no text', fileOf(`{"a":${tensor([1], [0, 4], 4)}}`, 4), 'SAFETENSORS_DTYPE_UNKNOWN', /4/],
    ['a negative dimension', fileOf(`{"a":${tensor([-1], [0, 4])}}`, 4), 'SAFETENSORS_SHAPE_INVALID', /\[-1\]/],
    ['two negative dimensions', fileOf(`{"a":${tensor([-1, -1], [0, 4])}}`, 4), 'SAFETENSORS_SHAPE_INVALID', /-1/],
    ['a fractional dimension', fileOf(`{"a":${tensor([0.5], [0, 2])}}`, 2), 'SAFETENSORS_SHAPE_INVALID', /0\.5/],
    ['a dimension that is null', fileOf(`{"a":${tensor([null], [0, 4])}}`, 4), 'SAFETENSORS_SHAPE_INVALID', /null/],
    ['a dimension that is text', fileOf(`{"a":${tensor(['1'], [0, 4])}}`, 4), 'SAFETENSORS_SHAPE_INVALID', /integers/],
    ['a dimension over 2^53', fileOf(`{"a":${tensor([2 ** 53], [0, 4])}}`, 4), 'SAFETENSORS_SHAPE_INVALID', /integers/],
    [
      'an infinite dimension',
      fileOf('{"a":{"dtype":"U8","shape":[1e999],"data_offsets":[0,0]}}'),
      'SAFETENSORS_SHAPE_INVALID',
      /null/,
    ],
    [
      'a shape that overflows',
      fileOf(`{"a":${tensor([2 ** 32, 2 ** 32, 0], [0, 0])}}`),
      'SAFETENSORS_SHAPE_INVALID',
      /more than/,
    ],
    [
      'a shape that is a number',
      fileOf(`{"a":${tensor(1, [0, 4])}}`, 4),
      'SAFETENSORS_SHAPE_INVALID',
      /list of integers/,
    ],
    ['three offsets', fileOf(`{"a":${tensor([1], [0, 4, 4])}}`, 4), 'SAFETENSORS_OFFSETS_INVALID', /two integers/],
    ['offsets in reverse', fileOf(`{"a":${tensor([1], [4, 0])}}`, 4), 'SAFETENSORS_OFFSETS_INVALID', /\[4,0\]/],
    ['a negative offset', fileOf(`{"a":${tensor([1], [-4, 0])}}`, 4), 'SAFETENSORS_OFFSETS_INVALID', /\[-4,0\]/],
    ['a fractional offset', fileOf(`{"a":${tensor([1], [0.5, 4.5])}}`, 4), 'SAFETENSORS_OFFSETS_INVALID', /integers/],
    ['offsets that are text', fileOf(`{"a":${tensor([1], '04')}}`, 4), 'SAFETENSORS_OFFSETS_INVALID', /two integers/],
    [
      'a size that differs from the shape',
      fileOf(`{"a":${tensor([3], [0, 8])}}`, 8),
      'SAFETENSORS_SIZE_MISMATCH',
      /takes 12 bytes/,
    ],
    [
      'tensors that overlap',
      fileOf(`{"a":${tensor([2], [0, 8])},"b":${tensor([2], [4, 12])}}`, 12),
      'SAFETENSORS_OFFSETS_INVALID',
      /overlap/,
    ],
    [
      'equal offsets twice',
      fileOf(`{"a":${tensor([2], [0, 8])},"b":${tensor([2], [0, 8])}}`, 8),
      'SAFETENSORS_OFFSETS_INVALID',
      /overlap/,
    ],
    [
      'a hole',
      fileOf(`{"a":${tensor([1], [0, 4])},"b":${tensor([1], [8, 12])}}`, 12),
      'SAFETENSORS_OFFSETS_INVALID',
      /hole/,
    ],
    ['a hole at the start', fileOf(`{"a":${tensor([1], [4, 8])}}`, 8), 'SAFETENSORS_OFFSETS_INVALID', /hole/],
    [
      'bytes after the last tensor',
      fileOf(`{"a":${tensor([1], [0, 4])}}`, 5),
      'SAFETENSORS_OFFSETS_INVALID',
      /1 bytes belong/,
    ],
    ['bytes without a tensor', fileOf('{}', 5), 'SAFETENSORS_OFFSETS_INVALID', /5 bytes belong/],
    ['data cut off', fileOf(`{"a":${tensor([2], [0, 8])}}`, 7), 'SAFETENSORS_TRUNCATED', /ends at byte 8.*only 7/],
    [
      'a huge tensor in a small file',
      fileOf(`{"a":${tensor([2 ** 40], [0, 2 ** 42])}}`, 4),
      'SAFETENSORS_TRUNCATED',
      /only 4/,
    ],
    [
      'a name twice',
      fileOf(`{"a":${tensor([1], [0, 4])},"a":${tensor([1], [4, 8])}}`, 8),
      'SAFETENSORS_NAME_INVALID',
      /"a" twice/,
    ],
    [
      'a name twice, once escaped',
      fileOf(`{"a":${tensor([1], [0, 4])}, "\\u0061" :${tensor([1], [4, 8])}}`, 8),
      'SAFETENSORS_NAME_INVALID',
      /"a" twice/,
    ],
    [
      'a field twice',
      fileOf('{"a":{"dtype":"U8","shape":[],"shape":[1],"data_offsets":[0,1]}}', 1),
      'SAFETENSORS_NAME_INVALID',
      /"shape" twice/,
    ],
    ['the name __proto__', fileOf(`{"__proto__":${tensor([1], [0, 4])}}`, 4), 'SAFETENSORS_NAME_INVALID', /__proto__/],
    [
      '__proto__ within a name',
      fileOf(`{"a.__proto__.b":${tensor([1], [0, 4])}}`, 4),
      'SAFETENSORS_NAME_INVALID',
      /__proto__/,
    ],
    [
      'constructor within a name',
      fileOf(`{"constructor.prototype.b":${tensor([1], [0, 4])}}`, 4),
      'SAFETENSORS_NAME_INVALID',
      /constructor/,
    ],
    [
      '__proto__ in the metadata',
      fileOf('{"__metadata__":{"__proto__":"x"}}'),
      'SAFETENSORS_NAME_INVALID',
      /__proto__/,
    ],
  ]
  it.each(corruptions)('refuses %s', (_, file, code, message) => {
    const error = errorOf(() => parseSafetensors(file))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(message)
    expect(error.message.length).toBeLessThan(500)
  })

  it('keeps messages short when a name is long', () => {
    const error = errorOf(() => parseSafetensors(fileOf(`{"${'n'.repeat(1e6)}":1}`)))
    expect(error.message.length).toBeLessThan(300)
  })

  it('raises only SafetensorsError, or reads, whatever byte is changed or wherever the file is cut', () => {
    const file = serializeSafetensors(
      {
        'layer.weight': { dtype: 'F32', shape: [2, 3], bytes: new Float32Array([1, 2, 3, 4, 5, 6]) },
        'layer.bias': { dtype: 'I8', shape: [3], bytes: new Int8Array([-1, 0, 1]) },
      },
      { step: '7' },
    )
    const attempt = (bytes: Uint8Array) => {
      try {
        for (const { bytes: data } of parseSafetensors(bytes).tensors.values()) expect(data.length).toBeGreaterThan(0)
        return true
      } catch (error) {
        expect(error).toBeInstanceOf(SafetensorsError)
        return false
      }
    }
    for (let length = 0; length < file.length; length++) expect(attempt(file.subarray(0, length))).toBe(false)
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.integer({ min: 0, max: 255 }), (position, value) => {
        const changed = file.slice()
        changed[position] = value
        attempt(changed)
      }),
      { numRuns: 2000 },
    )
  })
})

describe('the parts that a streaming reader uses', () => {
  it('reads the header from its own bytes', () => {
    const file = fileOf(`{"a":${tensor([2], [0, 8])}}`, 8)
    const length = safetensorsHeaderLength(file.subarray(0, 8), file.length)
    const header = parseSafetensorsHeader(file.subarray(8, 8 + length), 8)
    expect(header.tensors.get('a')).toEqual({ dtype: 'F32', shape: [2], begin: 0, end: 8 })
  })

  it('says which part of a file is missing when only its size is known', () => {
    expect(errorOf(() => safetensorsHeaderLength(fileOf('{}').subarray(0, 8), 9)).code).toBe('SAFETENSORS_TRUNCATED')
    expect(errorOf(() => safetensorsHeaderLength(new Uint8Array(3), 100)).code).toBe('SAFETENSORS_TRUNCATED')
  })
})

const stories = new URL('../../../../../shared/data/tokenizers-weights/stories260K.safetensors', import.meta.url)

describe.skipIf(!existsSync(stories))('a real file (skipped when the shared data are absent)', () => {
  it('reads the stories260K model', () => {
    const { metadata, tensors } = parseSafetensors(readFileSync(stories))
    expect(metadata.format).toBe('pt')
    expect(JSON.parse(metadata.config!)).toMatchObject({ dim: 64, vocab_size: 512 })
    const embedding = tensors.get('tok_embeddings.weight')!
    expect(embedding).toMatchObject({ dtype: 'F32', shape: [512, 64] })
    const values = safetensorsValues(embedding) as Float32Array
    expect(values.length).toBe(512 * 64)
    expect(Math.max(...values.map(Math.abs))).toBeLessThan(10)
    const written = parseSafetensors(serializeSafetensors(tensors, metadata))
    expect(written.metadata).toEqual(metadata)
    expect(new Map([...written.tensors].sort())).toEqual(new Map([...tensors].sort()))
  })
})
