import { tensor } from '@tessera/core'
import fc from 'fast-check'
import { zipSync } from 'fflate'
import { describe, expect, test } from 'vitest'
import { formats, type NumpyDtype } from './formats.ts'
import { encodeNpy, fromNumpy, type NumpyArray, parseNpy, toNumpy } from './npy.ts'
import { encodeNpz, parseNpz } from './npz.ts'

/** Files that NumPy 1.24 wrote; the padding of their headers is left out of the text. */
const written: Record<string, { header: string; bytes: number[]; wanted: NumpyArray }> = {
  'in Fortran’s order': {
    header: "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }",
    bytes: [...new Uint8Array(Float32Array.of(0, 3, 1, 4, 2, 5).buffer)],
    wanted: { dtype: 'f32', shape: [2, 3], data: Float32Array.of(0, 1, 2, 3, 4, 5) },
  },
  'big-endian': {
    header: "{'descr': '>i4', 'fortran_order': False, 'shape': (2, 2), }",
    bytes: [0, 0, 0, 1, 255, 255, 255, 254, 0, 0, 1, 44, 0, 0, 0, 4],
    wanted: { dtype: 'i32', shape: [2, 2], data: Int32Array.of(1, -2, 300, 4) },
  },
  'a scalar': {
    header: "{'descr': '<f8', 'fortran_order': False, 'shape': (), }",
    bytes: [0, 0, 0, 0, 0, 0, 4, 64],
    wanted: { dtype: 'f64', shape: [], data: Float64Array.of(2.5) },
  },
  half: {
    header: "{'descr': '<f2', 'fortran_order': False, 'shape': (2,), }",
    bytes: [0, 62, 0, 192],
    wanted: { dtype: 'f16', shape: [2], data: Uint16Array.of(0x3e00, 0xc000) },
  },
}

const npyOf = (header: string, bytes: readonly number[], version = 1): Uint8Array => {
  const text = `${header}${' '.repeat(117 - header.length)}\n`
  const length = version === 1 ? [118, 0] : [118, 0, 0, 0]
  return Uint8Array.from([0x93, ...Buffer.from('NUMPY'), version, 0, ...length, ...Buffer.from(text), ...bytes])
}

/** Any array of any format. */
const arrays: fc.Arbitrary<NumpyArray> = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(formats) as NumpyDtype[])),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }),
    seed: fc.nat(255),
  })
  .map(({ dtype, shape, seed }) => {
    const { array } = formats[dtype]
    const size = shape.reduce((a, b) => a * b, 1) * array.BYTES_PER_ELEMENT
    const bytes = Uint8Array.from({ length: size }, (_, i) =>
      dtype === 'bool' ? (i + seed) & 1 : (i * 31 + seed) & 127,
    )
    return { dtype, shape, data: new array(bytes.buffer) }
  })

describe('.npy', () => {
  for (const [name, { header, bytes, wanted }] of Object.entries(written)) {
    test(`reads what NumPy wrote: ${name}`, () => {
      for (const version of [1, 2, 3]) expect(parseNpy(npyOf(header, bytes, version))).toEqual(wanted)
    })
  }

  test('comes back in every format and shape, the data at a multiple of 64 bytes', () => {
    fc.assert(
      fc.property(arrays, (array) => {
        const file = encodeNpy(array)
        expect(parseNpy(file)).toEqual(array)
        expect((10 + file[8]! + 256 * file[9]!) % 64).toBe(0)
      }),
      { numRuns: 100 },
    )
  })

  test('writes the header that NumPy writes', () => {
    const file = encodeNpy({ dtype: 'f16', shape: [2], data: Uint16Array.of(0x3e00, 0xc000) })
    expect(file).toEqual(npyOf(written.half!.header, written.half!.bytes))
  })

  test('other contents are refused with the reason and the cure', () => {
    const cases: [Uint8Array, RegExp][] = [
      [new Uint8Array(20), /does not begin with/],
      [npyOf("{'descr': '<U2', 'fortran_order': False, 'shape': (1,), }", [97, 0, 0, 0]), /elements are "<U2".*astype/],
      [npyOf("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", [1]), /elements are "\|O"/],
      [npyOf("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", [1]), /not a dictionary/],
      [
        npyOf("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", [0, 0, 0, 0]),
        /f32\[2\] takes 8 bytes, 4 follow/,
      ],
      [npyOf("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }", []), /its shape is/],
      [npyOf("{'descr': '<f4', 'shape': (2,), }", []), /not a dictionary/],
      [npyOf("{'descr': '<f4', 'fortran_order': False, 'shape': (0,), 'evil': exec, }", []), /not a dictionary/],
      [npyOf('', [], 9), /version is 9/],
    ]
    for (const [file, message] of cases) expect(() => parseNpy(file)).toThrow(message)
    expect(() => encodeNpy({ dtype: 'f32', shape: [2], data: Float32Array.of(1) })).toThrow(
      /takes 2 elements of a Float32Array, got 1/,
    )
  })
})

describe('.npz', () => {
  // numpy.savez_compressed(a=numpy.arange(4, dtype='u1').reshape(2, 2), b=numpy.array([True, False]))
  const compressed =
    'UEsDBBQAAAAIAAAAIQBcIt3WSgAAAIQAAAAFABQAYS5ucHkBABAAhAAAAAAAAABKAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loF5Taqiuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6CkaaOgq1CmQDLgZGJmYAUEsDBBQAAAAIAAAAIQDuGbtdRgAAAIIAAAAFABQAYi5ucHkBABAAggAAAAAAAABGAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxcpG6loF6TZKiuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GkY6mjoKtQoUAC5GBgBQSwECFAMUAAAACAAAACEAXCLd1koAAACEAAAABQAAAAAAAAAAAAAAgAEAAAAAYS5ucHlQSwECFAMUAAAACAAAACEA7hm7XUYAAACCAAAABQAAAAAAAAAAAAAAgAGBAAAAYi5ucHlQSwUGAAAAAAIAAgBmAAAA/gAAAAAA'
  const file = new Uint8Array(Buffer.from(compressed, 'base64'))

  test('reads what NumPy wrote', () => {
    expect([...parseNpz(file)]).toEqual([
      ['a', { dtype: 'u8', shape: [2, 2], data: Uint8Array.of(0, 1, 2, 3) }],
      ['b', { dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) }],
    ])
  })

  test('comes back, compressed or not, with the same bytes each time', () => {
    fc.assert(
      fc.property(fc.array(arrays, { maxLength: 3 }), fc.boolean(), (list, isCompressed) => {
        const named = Object.fromEntries(list.map((array, i) => [`layer.${i}`, array]))
        const bytes = encodeNpz(named, { compressed: isCompressed })
        expect(Object.fromEntries(parseNpz(bytes))).toEqual(named)
        expect(encodeNpz(named, { compressed: isCompressed })).toEqual(bytes)
      }),
      { numRuns: 30 },
    )
  })

  test('archives of other files, of too much, and damaged ones are refused', () => {
    expect(() => parseNpz(zipSync({ 'a.txt': Uint8Array.of(1) }))).toThrow(/holds "a\.txt"/)
    const zeros = encodeNpz({ x: { dtype: 'u8', shape: [100_000], data: new Uint8Array(100_000) } })
    expect(() => parseNpz(zeros, { maximumBytes: 1000 })).toThrow(/more than 1000 bytes/)
    for (let length = 0; length < file.length; length += 7) {
      expect(() => parseNpz(file.subarray(0, length))).toThrow(expect.objectContaining({ code: 'NUMPY_FILE' }))
    }
    // An archive that says less than its file takes when it is unpacked.
    const lying = zeros.slice()
    const directory = new DataView(lying.buffer).getUint32(lying.length - 6, true)
    new DataView(lying.buffer).setUint32(directory + 24, 10, true)
    expect(() => parseNpz(lying)).toThrow(expect.objectContaining({ code: 'NUMPY_FILE' }))
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(file.length - 1), fc.nat(255)), { maxLength: 5 }), (changes) => {
        const damaged = file.slice()
        for (const [position, value] of changes) damaged[position] = value
        try {
          parseNpz(damaged)
        } catch (error) {
          expect(error).toMatchObject({ code: 'NUMPY_FILE' })
        }
      }),
      { numRuns: 300 },
    )
  })
})

test('tensors go there and back', async () => {
  for (const x of [
    tensor([[1.5, -2]]),
    tensor([true, false]),
    tensor([1.5]).cast('f16'),
    tensor(new Int8Array([-3])),
  ]) {
    const back = fromNumpy(parseNpy(encodeNpy(await toNumpy(x))))
    expect([back.dtype, back.shape, await back.data()]).toEqual([x.dtype, x.shape, await x.data()])
  }
  expect((await toNumpy(tensor([1]).cast('bf16'))).dtype).toBe('f32')
  expect(await fromNumpy({ dtype: 'i64', shape: [2], data: BigInt64Array.of(1n, -2n) }).data()).toEqual(
    Int32Array.of(1, -2),
  )
  expect(() => fromNumpy({ dtype: 'u64', shape: [1], data: BigUint64Array.of(2n ** 40n) })).toThrow(
    /does not fit into i32/,
  )
})
