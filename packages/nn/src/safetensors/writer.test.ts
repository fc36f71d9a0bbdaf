import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  parseSafetensors,
  type SafetensorsError,
  type SafetensorsErrorCode,
  type SafetensorsInput,
  safetensorsChunks,
  safetensorsDtypes,
  safetensorsItemSize,
  safetensorsValues,
  serializeSafetensors,
} from './index.ts'

const nameArbitrary = fc
  .string({ unit: 'grapheme', maxLength: 12 })
  .filter((name) => name !== '__metadata__' && !/(^|\.)(__proto__|prototype|constructor)(\.|$)/.test(name))

const tensorArbitrary = fc
  .record({
    dtype: fc.constantFrom(...safetensorsDtypes),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
  })
  .chain(({ dtype, shape }) => {
    const length = shape.reduce((product, dimension) => product * dimension, safetensorsItemSize(dtype))
    return fc.record({
      dtype: fc.constant(dtype),
      shape: fc.constant(shape),
      bytes: fc.uint8Array({ minLength: length, maxLength: length }),
    })
  })

describe('serializeSafetensors', () => {
  it('round-trips any tensors and metadata, aligned, whatever their order', () => {
    const entries = fc.uniqueArray(fc.tuple(nameArbitrary, tensorArbitrary), {
      selector: ([name]) => name,
      maxLength: 8,
    })
    const metadata = fc.dictionary(
      fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__'),
      fc.string({ unit: 'grapheme' }),
      { maxKeys: 4, noNullPrototype: true },
    )
    fc.assert(
      fc.property(entries, metadata, (tensors, text) => {
        const file = serializeSafetensors(tensors, text)
        const read = parseSafetensors(file)
        expect(read.metadata).toEqual(text)
        expect(Object.fromEntries(read.tensors)).toEqual(Object.fromEntries(tensors))
        for (const { dtype, bytes } of read.tensors.values())
          expect(bytes.byteOffset % safetensorsItemSize(dtype)).toBe(0)
        expect(serializeSafetensors(new Map([...tensors].reverse()), text)).toEqual(file)
      }),
    )
  })

  it('writes this exact file, as the format describes it', () => {
    const file = serializeSafetensors({
      b: { dtype: 'U8', shape: [1], bytes: new Uint8Array([7]) },
      a: { dtype: 'F32', shape: [1, 1], bytes: new Float32Array([1]) },
    })
    const header =
      '{"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}}'
    expect(new TextDecoder().decode(file.subarray(8, 8 + 112))).toBe(header.padEnd(112))
    expect([...file.subarray(0, 8)]).toEqual([112, 0, 0, 0, 0, 0, 0, 0])
    expect([...file.subarray(120)]).toEqual([0, 0, 128, 63, 7])
  })

  it('takes any view of memory and copies none of it into the chunks', () => {
    const weights = new Float64Array([0, 1, 2, 3]).subarray(1, 3)
    const [header, data, ...rest] = safetensorsChunks({ w: { dtype: 'F64', shape: [2], bytes: weights } })
    expect(header!.length % 8).toBe(0)
    expect(data!.buffer).toBe(weights.buffer)
    expect(data!.byteOffset).toBe(8)
    expect(rest).toEqual([])
  })

  const one = (changes: Partial<Record<keyof SafetensorsInput, unknown>>) =>
    ({ dtype: 'U8', shape: [1], bytes: new Uint8Array(1), ...changes }) as SafetensorsInput
  const refusals: [
    what: string,
    tensors: [string, SafetensorsInput][],
    metadata: object,
    code: SafetensorsErrorCode,
  ][] = [
    ['a size that differs from the shape', [['a', one({ shape: [2] })]], {}, 'SAFETENSORS_SIZE_MISMATCH'],
    ['a negative dimension', [['a', one({ shape: [-1] })]], {}, 'SAFETENSORS_SHAPE_INVALID'],
    ['a dimension that is not a number', [['a', one({ shape: [Number.NaN] })]], {}, 'SAFETENSORS_SHAPE_INVALID'],
    ['an unknown dtype', [['a', one({ dtype: 'F12' })]], {}, 'SAFETENSORS_DTYPE_UNKNOWN'],
    [
      'a name twice',
      [
        ['a', one({})],
        ['a', one({})],
      ],
      {},
      'SAFETENSORS_NAME_INVALID',
    ],
    ['the name of the metadata', [['__metadata__', one({})]], {}, 'SAFETENSORS_NAME_INVALID'],
    ['the name __proto__', [['x.__proto__', one({})]], {}, 'SAFETENSORS_NAME_INVALID'],
    ['half a surrogate pair in a name', [['\ud800', one({})]], {}, 'SAFETENSORS_NAME_INVALID'],
    ['metadata that is no text', [], { step: 3 }, 'SAFETENSORS_HEADER_INVALID'],
    ['half a surrogate pair in the metadata', [], { step: '\udc00' }, 'SAFETENSORS_HEADER_INVALID'],
  ]
  it.each(refusals)('refuses %s', (_, tensors, metadata, code) => {
    expect(() => serializeSafetensors(tensors, metadata as Record<string, string>)).toThrow(
      expect.objectContaining({ name: 'SafetensorsError', code } satisfies Partial<SafetensorsError>),
    )
  })
})

describe('safetensorsValues', () => {
  it('views aligned bytes and copies others', () => {
    const memory = new Uint8Array(16)
    memory.set([0, 0, 128, 63], 4)
    memory.set([0, 0, 128, 63], 9)
    const aligned = safetensorsValues({ dtype: 'F32', shape: [1], bytes: memory.subarray(4, 8) })
    const copied = safetensorsValues({ dtype: 'F32', shape: [1], bytes: memory.subarray(9, 13) })
    expect([aligned, copied]).toEqual([new Float32Array([1]), new Float32Array([1])])
    expect(aligned.buffer).toBe(memory.buffer)
    expect(copied.buffer).not.toBe(memory.buffer)
  })

  it('has an array for every dtype, with elements of its size', () => {
    for (const dtype of safetensorsDtypes) {
      const bytes = new Uint8Array(2 * safetensorsItemSize(dtype))
      expect(safetensorsValues({ dtype, shape: [2], bytes }).length).toBe(2)
    }
  })
})
