import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readText } from './node-text.ts'

let folder: string
let count = 0
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'read-text-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function fileOf(contents: string | Uint8Array): Promise<string> {
  const path = join(folder, `file-${count++}`)
  await writeFile(path, contents)
  return path
}

describe('readText', () => {
  it('reads UTF-8, without a byte order mark', async () => {
    expect(await readText(await fileOf('Größe 😀\n'))).toBe('Größe 😀\n')
    expect(await readText(await fileOf('\ufeffabc'))).toBe('abc')
  })

  it('reads gzip, of several members too, whatever the name', async () => {
    expect(await readText(await fileOf(gzipSync('hello')))).toBe('hello')
    expect(await readText(await fileOf(Buffer.concat([gzipSync('hel'), gzipSync('lo')])))).toBe('hello')
  })

  const zeros = gzipSync(new Uint8Array(1 << 20).fill(0x61))
  const refusals: [what: string, contents: string | Uint8Array, code: string, message: RegExp][] = [
    ['an empty file', '', 'TEXT_EMPTY', /0 bytes and no text/],
    ['white space', ' \n\n', 'TEXT_EMPTY', /3 bytes and no text/],
    ['nothing, compressed', gzipSync(''), 'TEXT_EMPTY', /no text/],
    ['a zero byte', 'ab\0c', 'TEXT_BINARY', /offset 2 is 0/],
    ['invalid UTF-8', Uint8Array.of(0x61, 0xc3, 0xa9, 0xff, 0), 'TEXT_BINARY', /offset 3 \(0xff\) is not UTF-8/],
    ['a character that is cut off', Uint8Array.of(0x61, 0xe2, 0x82), 'TEXT_BINARY', /offset 1 \(0xe2\)/],
    ['invalid UTF-8, compressed', gzipSync(Uint8Array.of(0x61, 0x80)), 'TEXT_BINARY', /offset 1 \(0x80\)/],
    ['UTF-16', Uint8Array.of(0xff, 0xfe, 0x61, 0), 'TEXT_BINARY', /UTF-16: save it as UTF-8/],
    ['gzip that is cut off', gzipSync('hello world').subarray(0, 20), 'TEXT_READ_FAILED', /gzip data are damaged/],
    [
      'gzip with a wrong checksum',
      gzipSync('hello').map((byte, index) => (index === 16 ? byte ^ 1 : byte)),
      'TEXT_READ_FAILED',
      /damaged/,
    ],
  ]
  it.each(refusals)('refuses %s', async (_, contents, code, message) => {
    const path = await fileOf(contents)
    await expect(readText(path)).rejects.toMatchObject({ name: 'DataError', code })
    await expect(readText(path)).rejects.toThrow(message)
    await expect(readText(path)).rejects.toThrow(path)
  })

  it('refuses what is larger than the limit, before or after decompression', async () => {
    const options = { maximumBytes: 10_000 }
    expect(zeros.length).toBeLessThan(options.maximumBytes)
    await expect(readText(await fileOf('a'.repeat(10_001)), options)).rejects.toThrow(
      /has 10001 bytes, and the limit is 10000/,
    )
    const bomb = await fileOf(zeros)
    await expect(readText(bomb, options)).rejects.toMatchObject({ code: 'TEXT_TOO_LARGE' })
    expect((await readText(bomb)).length).toBe(1 << 20)
    expect(await readText(await fileOf('a'.repeat(10_000)), options)).toHaveLength(10_000)
    await expect(readText(bomb, { maximumBytes: 2 ** 30 })).rejects.toMatchObject({ code: 'DATASET_INVALID_OPTION' })
  })

  it('refuses missing files, folders and devices', async () => {
    await expect(readText(join(folder, 'none'))).rejects.toMatchObject({
      code: 'TEXT_NOT_FOUND',
      cause: { code: 'ENOENT' },
    })
    await expect(readText(folder)).rejects.toThrow(/is a folder/)
    await expect(readText(`${await fileOf('a')}/b`)).rejects.toMatchObject({ code: 'TEXT_READ_FAILED' })
    if (process.platform !== 'win32') await expect(readText('/dev/zero')).rejects.toThrow(/not a regular file/)
  })
})
