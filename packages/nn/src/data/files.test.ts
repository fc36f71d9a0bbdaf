import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { encode as encodePngFile } from 'fast-png'
import jpeg from 'jpeg-js'
import { describe, expect, test } from 'vitest'
import { decodeWav, encodeWav, muLawClasses, muLawSamples } from './audio.ts'
import { cifar } from './cifar.ts'
import type { HostTensor } from './host-tensor.ts'
import { mnist, parseIdx } from './idx.ts'
import { decodeImage, encodePng } from './images.ts'
import { scalePixels } from './labelled-images.ts'

function idxFile(code: number, shape: readonly number[], elements: readonly number[]): Uint8Array {
  return Uint8Array.from([
    0,
    0,
    code,
    shape.length,
    ...shape.flatMap((extent) => [0, 0, extent >> 8, extent & 255]),
    ...elements,
  ])
}

describe('IDX', () => {
  test('every format, big-endian, gzipped or not', async () => {
    const cases: [number, number[], ArrayLike<number>][] = [
      [8, [1, 255], Uint8Array.of(1, 255)],
      [9, [1, 255], Int8Array.of(1, -1)],
      [11, [1, 0, 255, 255], Int32Array.of(256, -1)],
      [12, [0, 1, 0, 0, 255, 255, 255, 254], Int32Array.of(65536, -2)],
      [13, [0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0], Float32Array.of(1, -2)],
      [14, [0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0], Float64Array.of(1, -2)],
    ]
    for (const [code, elements, data] of cases) {
      const file = idxFile(code, [2, 1], elements)
      expect(await parseIdx(file)).toEqual({ data, shape: [2, 1] })
      expect(await parseIdx(gzipSync(file))).toEqual({ data, shape: [2, 1] })
    }
  })

  test('MNIST as a data set, scaled', async () => {
    const dataset = await mnist(idxFile(8, [2, 1, 2], [0, 255, 51, 102]), idxFile(8, [2], [7, 3]))
    const { image, label } = await dataset.at(1)
    expect([image.shape, [...image.data], label.shape, [...label.data]]).toEqual([[1, 1, 2], [51, 102], [], [3]])
    expect([...scalePixels(image).data].map((x) => x.toFixed(4))).toEqual(['0.2000', '0.4000'])
    expect([...scalePixels(image, 0.2, 0.5).data].map((x) => x.toFixed(4))).toEqual(['0.0000', '0.4000'])
    await expect(mnist(idxFile(8, [2], [7, 3]), idxFile(8, [2], [7, 3]))).rejects.toThrow(
      /images of MNIST are u8 \[count/,
    )
    await expect(mnist(idxFile(8, [1, 1, 1], [0]), idxFile(8, [2], [7, 3]))).rejects.toThrow(/1 images and 2 labels/)
  })

  test('damaged files are refused with a reason, whatever the bytes', async () => {
    const good = idxFile(8, [2, 3], [1, 2, 3, 4, 5, 6])
    for (let length = 0; length < good.length; length++) {
      await expect(parseIdx(good.subarray(0, length))).rejects.toMatchObject({ code: 'DATA_FILE' })
    }
    // A shape of 2^96 elements is refused by its length, before memory is taken.
    await expect(parseIdx(Uint8Array.from([0, 0, 8, 3, ...new Array<number>(12).fill(255), 1]))).rejects.toThrow(
      /must have/,
    )
    await expect(parseIdx(gzipSync(good).subarray(0, 15))).rejects.toThrow(/gzip file is damaged/)
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 40 }), async (bytes) => {
        const result = await parseIdx(bytes).catch((error) => error)
        expect(result.code ?? 'read').toMatch(/^(DATA_FILE|read)$/)
      }),
      { numRuns: 200 },
    )
  })
})

test('CIFAR: labels first, then planes; coarse labels are left out', async () => {
  const image = (seed: number) => Uint8Array.from({ length: 3072 }, (_, i) => (i * 7 + seed) & 255)
  const ten = await cifar([Uint8Array.from([3, ...image(1)]), gzipSync(Uint8Array.from([9, ...image(2)]))])
  expect(ten.length).toBe(2)
  expect(await ten.at(1)).toEqual({
    image: { data: image(2), shape: [3, 32, 32] },
    label: { data: Int32Array.of(9), shape: [] },
  })
  const hundred = await cifar([Uint8Array.from([19, 99, ...image(3)])], 100)
  expect([...(await hundred.at(0)).label.data]).toEqual([99])
  await expect(cifar([new Uint8Array(3072)])).rejects.toThrow(/3072 bytes, which is no multiple of 3073/)
  await expect(cifar([Uint8Array.from([10, ...image(1)])])).rejects.toThrow(/label 10; CIFAR-10 ends at 9/)
})

describe('images', () => {
  const picture = (channels: number, height: number, width: number): HostTensor<Uint8Array> => ({
    data: Uint8Array.from({ length: channels * height * width }, (_, i) => (i * 37 + 11) & 255),
    shape: [channels, height, width],
  })

  test('PNG comes back exactly, for every number of channels', async () => {
    for (const channels of [1, 3, 4] as const) {
      for (const [height, width] of [
        [1, 1],
        [5, 3],
      ] as const) {
        const image = picture(channels, height, width)
        expect(await decodeImage(await encodePng(image), { channels })).toEqual(image)
      }
    }
    await expect(encodePng(picture(2, 2, 2))).rejects.toThrow(/1, 3 or 4 channels.*\[2, 2, 2\]/)
  })

  test('grey, colour, transparency, palettes and 16 bits turn into each other', async () => {
    const grey = encodePngFile({ width: 2, height: 1, data: Uint8Array.of(10, 200), channels: 1 })
    expect([...(await decodeImage(grey)).data]).toEqual([10, 200, 10, 200, 10, 200])
    const pair = encodePngFile({ width: 1, height: 1, data: Uint8Array.of(10, 99), channels: 2 })
    expect([...(await decodeImage(pair, { channels: 4 })).data]).toEqual([10, 10, 10, 99])
    const colour = encodePngFile({ width: 1, height: 1, data: Uint8Array.of(255, 128, 0), channels: 3 })
    expect([...(await decodeImage(colour, { channels: 1 })).data]).toEqual([Math.round(0.299 * 255 + 0.587 * 128)])
    expect([...(await decodeImage(colour, { channels: 4 })).data]).toEqual([255, 128, 0, 255])
    const deep = encodePngFile({ width: 1, height: 1, data: Uint16Array.of(0xffff), channels: 1, depth: 16 })
    expect([...(await decodeImage(deep, { channels: 1 })).data]).toEqual([255])
  })

  test('JPEG in the right order of channels', async () => {
    const area = 16 * 8
    const data = new Uint8Array(area * 4)
    for (let i = 0; i < area; i++) data.set([200, 40, 90, 255], 4 * i)
    const file = Uint8Array.from(jpeg.encode({ data, width: 16, height: 8 }, 95).data)
    const image = await decodeImage(file)
    expect(image.shape).toEqual([3, 8, 16])
    for (const [channel, value] of [200, 40, 90].entries())
      expect(Math.abs(image.data[channel * area + 70]! - value)).toBeLessThan(4)
    await expect(decodeImage(file, { maximumPixels: 100 })).rejects.toMatchObject({ code: 'DATA_FILE' })
    await expect(decodeImage(file.subarray(0, 60))).rejects.toThrow(/JPEG file cannot be read/)
  })

  test('damaged and foreign files are refused with a reason', async () => {
    const file = await encodePng(picture(3, 4, 4))
    const outcomes = await Promise.all(
      // The last chunk, 12 bytes, says only that nothing follows.
      Array.from({ length: file.length - 12 }, (_, length) =>
        decodeImage(file.subarray(0, length)).then(
          () => 'read',
          (error) => error.code,
        ),
      ),
    )
    expect(new Set(outcomes)).toEqual(new Set(['DATA_FILE']))
    const huge = file.slice()
    new DataView(huge.buffer).setUint32(16, 2 ** 31)
    await expect(decodeImage(huge)).rejects.toThrow(/2147483648 × 4 pixels, at most/)
    await expect(decodeImage(Uint8Array.of(71, 73, 70, 56))).rejects.toThrow(/neither PNG nor JPEG/)
  })
})

describe('sound', () => {
  const wave = (count: number, channels = 1) => ({
    samples: {
      data: Float32Array.from({ length: count * channels }, (_, i) => 0.9 * Math.sin(i / 5)),
      shape: [channels, count],
    },
    sampleRate: 8000,
  })

  test('WAV comes back in every encoding, within its resolution', async () => {
    for (const [encoding, tolerance] of [
      ['16', 1 / 32000],
      ['32f', 1e-7],
      ['mulaw', 0.04],
    ] as const) {
      for (const channels of encoding === 'mulaw' ? [1] : [1, 2]) {
        const sound = wave(50, channels)
        const back = await decodeWav(await encodeWav(sound, { encoding }))
        expect([back.sampleRate, back.samples.shape]).toEqual([8000, [channels, 50]])
        for (const [i, x] of back.samples.data.entries())
          expect(Math.abs(x - sound.samples.data[i]!)).toBeLessThan(tolerance)
      }
    }
  })

  test('µ-law classes are 256 and come back to themselves', () => {
    expect([...muLawClasses(Float32Array.of(-2, -1, 0, 1, 2))]).toEqual([0, 0, 128, 255, 255])
    const all = Int32Array.from({ length: 256 }, (_, i) => i)
    expect(muLawClasses(muLawSamples(all))).toEqual(all)
    const x = Float32Array.of(0.5)
    expect(Math.abs(muLawSamples(muLawClasses(x))[0]! - 0.5)).toBeLessThan(0.02)
  })

  test('damaged and foreign files are refused with a reason', async () => {
    await expect(decodeWav(new Uint8Array(100))).rejects.toThrow(/no WAV file/)
    const file = await encodeWav(wave(10))
    await expect(decodeWav(file.subarray(0, 30))).rejects.toMatchObject({ code: 'DATA_FILE' })
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 4 }), async (changes) => {
        const damaged = file.slice()
        for (const [position, value] of changes) damaged[position % damaged.length] = value
        const result = await decodeWav(damaged).catch((error) => error)
        expect(result.code ?? 'read').toMatch(/^(DATA_FILE|read)$/)
      }),
      { numRuns: 60 },
    )
  })
})
