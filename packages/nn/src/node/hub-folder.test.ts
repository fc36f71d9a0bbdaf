import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { loadHubFile } from '../hub/cached-bytes.ts'
import { downloadHubFile } from './hub-folder.ts'

/** A hub of two files: one of LFS, with its SHA-256 as tag, and one of git. */
const large = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7919) & 255)
const small = new TextEncoder().encode('{"model_type":"gpt2"}')
const tags: Record<string, string> = {
  'model.safetensors': createHash('sha256').update(large).digest('hex'),
  'config.json': createHash('sha1').update(`blob ${small.length}\0`).update(small).digest('hex'),
  'odd.bin': 'no-checksum',
}
const contents: Record<string, Uint8Array> = { 'model.safetensors': large, 'config.json': small, 'odd.bin': small }

/** What the server does wrong, and what it was asked. */
let breakAfter = Number.POSITIVE_INFINITY
let damaged = false
let requests: { path: string; range: string | undefined; authorization: string | undefined }[] = []
let server: Server
let hubUrl: string
let folder: string

beforeAll(async () => {
  server = createServer((request, response) => {
    const { range, authorization } = request.headers
    requests.push({ path: request.url!, range, authorization })
    const match = /^\/(?:datasets\/)?owner\/name\/resolve\/(\w+)\/(.*)$/.exec(request.url!)
    const content = match && contents[match[2]!]
    if (match?.[1] === 'secret' && authorization !== 'Bearer hf_right') {
      response.writeHead(401).end()
      return
    }
    if (!content) {
      response.writeHead(404, match ? { 'X-Error-Code': 'EntryNotFound' } : {}).end()
      return
    }
    const [first, last] = (/bytes=(\d+)-(\d*)/.exec(range ?? '')?.slice(1) ?? ['0', '']) as [string, string]
    const start = Number(first)
    const end = last === '' ? content.length - 1 : Math.min(Number(last), content.length - 1)
    const body = content.slice(start, end + 1)
    if (damaged && body.length > 1) body[body.length >> 1]! ^= 1
    response.writeHead(range ? 206 : 200, {
      ETag: `"${tags[match[2]!]}"`,
      'Content-Range': `bytes ${start}-${end}/${content.length}`,
      'Content-Length': body.length,
    })
    if (body.length <= breakAfter) response.end(body)
    else response.write(body.subarray(0, breakAfter), () => setTimeout(() => response.destroy(), 20))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  hubUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => server.close())

beforeEach(async () => {
  breakAfter = Number.POSITIVE_INFINITY
  damaged = false
  requests = []
  folder = await mkdtemp(join(tmpdir(), 'tessera-hub-'))
  return () => rm(folder, { recursive: true })
})

const get = (path: string, more: object = {}) => downloadHubFile({ repo: 'owner/name', path, hubUrl, folder, ...more })
/** Requests for content, without those for information, which ask for one byte. */
const downloads = () => requests.filter(({ range }) => range !== 'bytes=0-0')

describe('downloadHubFile', () => {
  test('loads files of LFS and of git, with progress, and the second time from the folder', async () => {
    const progress: number[] = []
    const path = await get('model.safetensors', {
      onProgress: ({ loaded, total }: { loaded: number; total: number }) => progress.push(loaded / total),
    })
    expect(new Uint8Array(await readFile(path))).toEqual(large)
    expect(progress.at(-1)).toBe(1)
    expect([...progress].sort((a, b) => a - b)).toEqual(progress)
    expect(new Uint8Array(await readFile(await get('config.json')))).toEqual(small)
    const before = downloads().length
    expect(await get('model.safetensors')).toBe(path)
    expect(downloads().length).toBe(before)
  })

  test('goes on where a broken download stopped', async () => {
    breakAfter = 100_000
    await expect(get('model.safetensors')).rejects.toMatchObject({ code: 'HUB_DOWNLOAD' })
    breakAfter = Number.POSITIVE_INFINITY
    requests = []
    expect(new Uint8Array(await readFile(await get('model.safetensors')))).toEqual(large)
    const [resumed] = downloads()
    expect(Number(/bytes=(\d+)-/.exec(resumed!.range!)![1])).toBeGreaterThan(0)
  })

  test('goes on after an abort', async () => {
    const controller = new AbortController()
    const stopped = get('model.safetensors', {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    })
    await expect(stopped).rejects.toThrow('enough')
    expect(new Uint8Array(await readFile(await get('model.safetensors')))).toEqual(large)
  })

  test('throws away what has a wrong checksum, and loads it again', async () => {
    damaged = true
    await expect(get('model.safetensors')).rejects.toMatchObject({ code: 'HUB_CHECKSUM' })
    await expect(get('config.json')).rejects.toMatchObject({ code: 'HUB_CHECKSUM' })
    damaged = false
    expect(new Uint8Array(await readFile(await get('model.safetensors')))).toEqual(large)
  })

  test('does not take a file of another size from the folder', async () => {
    const path = await get('config.json')
    await writeFile(path, 'cut')
    expect(new Uint8Array(await readFile(await get('config.json')))).toEqual(small)
  })

  test('says what is missing or refused', async () => {
    await expect(get('model.bin')).rejects.toThrow(/owner\/name has no file model\.bin at main/)
    await expect(get('config.json', { repo: 'owner/other' })).rejects.toMatchObject({ code: 'HUB_NOT_FOUND' })
    await expect(get('config.json', { revision: 'secret' })).rejects.toMatchObject({ code: 'HUB_ACCESS' })
    expect(await readFile(await get('config.json', { revision: 'secret', accessToken: 'hf_right' }))).toEqual(
      Buffer.from(small),
    )
  })

  test('data sets, and files without a checksum', async () => {
    expect(await readFile(await get('odd.bin', { repo: 'datasets/owner/name' }))).toEqual(Buffer.from(small))
    expect(requests[0]!.path).toBe('/datasets/owner/name/resolve/main/odd.bin')
  })
})

test('loadHubFile gives bytes, checked as well', async () => {
  const options = { repo: 'owner/name', hubUrl, path: 'model.safetensors', cache: false } as const
  expect(await loadHubFile(options)).toEqual(large)
  damaged = true
  await expect(loadHubFile(options)).rejects.toMatchObject({ code: 'HUB_CHECKSUM' })
})
