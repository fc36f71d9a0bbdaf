import { existsSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import * as files from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openSafetensorsFile, readSafetensorsFile, writeSafetensorsFile } from './node-files.ts'
import { serializeSafetensors } from './writer.ts'

vi.mock('node:fs/promises', async (original) => ({ ...(await original<typeof files>()) }))

let folder: string
beforeEach(async () => {
  folder = await files.mkdtemp(join(tmpdir(), 'safetensors-'))
})
afterEach(async () => {
  vi.restoreAllMocks()
  await files.rm(folder, { recursive: true })
})

const small = { x: { dtype: 'F32', shape: [2], bytes: new Float32Array([1, 2]) } } as const
const other = { x: { dtype: 'F32', shape: [3], bytes: new Float32Array([3, 4, 5]) } } as const

/** Makes one call on the temporary file fail as the system would. */
function failOn(method: 'write' | 'sync' | 'close', code: string) {
  const { open } = files
  vi.spyOn(files, 'open').mockImplementation(async (...parameters) => {
    const handle: FileHandle = await open(...parameters)
    const failure = Object.assign(new Error(`${code}: simulated, ${method}`), { code })
    if (method !== 'close') handle[method] = () => Promise.reject(failure)
    else {
      const close = handle.close.bind(handle)
      handle.close = () => close().then(() => Promise.reject(failure))
    }
    return handle
  })
}

describe('writeSafetensorsFile and readSafetensorsFile', () => {
  it('round-trip, replace the previous file and leave nothing else behind', async () => {
    const path = join(folder, 'model.safetensors')
    await writeSafetensorsFile(path, other)
    await writeSafetensorsFile(path, small, { step: '3' })
    expect(new Uint8Array(await files.readFile(path))).toEqual(serializeSafetensors(small, { step: '3' }))
    const { metadata, tensors } = await readSafetensorsFile(path)
    expect(metadata).toEqual({ step: '3' })
    expect(tensors.get('x')).toEqual({ ...small.x, bytes: new Uint8Array(small.x.bytes.buffer) })
    expect(await files.readdir(folder)).toEqual(['model.safetensors'])
  })

  it('write tensors in shared memory', async () => {
    const shared = new Float32Array(new SharedArrayBuffer(8))
    shared.set([1, 2])
    const path = join(folder, 'shared.safetensors')
    await writeSafetensorsFile(path, { x: { ...small.x, bytes: shared } })
    expect(new Uint8Array(await files.readFile(path))).toEqual(serializeSafetensors(small))
  })

  it('replace the file that a symbolic link points to', async () => {
    await writeSafetensorsFile(join(folder, 'real'), small)
    await files.symlink('real', join(folder, 'link'))
    await writeSafetensorsFile(join(folder, 'link'), other)
    expect((await readSafetensorsFile(join(folder, 'real'))).tensors.get('x')?.shape).toEqual([3])
    expect((await files.lstat(join(folder, 'link'))).isSymbolicLink()).toBe(true)
  })

  it.each([
    ['write', 'ENOSPC', /disk is full: free some space/],
    ['sync', 'ENOSPC', /disk is full/],
    ['close', 'EIO', /EIO: simulated/],
  ] as const)('keep the previous file when %s fails with %s', async (method, code, message) => {
    const path = join(folder, 'model.safetensors')
    await writeSafetensorsFile(path, small)
    failOn(method, code)
    const failure = await writeSafetensorsFile(path, other).catch((error) => error)
    vi.restoreAllMocks()
    expect(failure).toMatchObject({ name: 'SafetensorsError', code: 'SAFETENSORS_WRITE_FAILED', cause: { code } })
    expect(failure.message).toMatch(message)
    expect(new Uint8Array(await files.readFile(path))).toEqual(serializeSafetensors(small))
    expect(await files.readdir(folder)).toEqual(['model.safetensors'])
  })

  it('continue after the system took only part of the bytes', async () => {
    const { open } = files
    vi.spyOn(files, 'open').mockImplementation(async (...parameters) => {
      const handle = await open(...parameters)
      const write = handle.write.bind(handle)
      handle.write = ((piece: Uint8Array) => write(piece, 0, Math.min(piece.length, 3))) as typeof handle.write
      return handle
    })
    const path = join(folder, 'model.safetensors')
    await writeSafetensorsFile(path, small)
    expect(new Uint8Array(await files.readFile(path))).toEqual(serializeSafetensors(small))
  })

  it('say so when the folder does not exist or the path is a folder', async () => {
    const missing = writeSafetensorsFile(join(folder, 'none', 'model'), small)
    await expect(missing).rejects.toMatchObject({ code: 'SAFETENSORS_WRITE_FAILED', cause: { code: 'ENOENT' } })
    await expect(writeSafetensorsFile(folder, small)).rejects.toMatchObject({ code: 'SAFETENSORS_WRITE_FAILED' })
    expect(await files.readdir(folder)).toEqual([])
    expect(existsSync(folder)).toBe(true)
  })

  it('refuse tensors that cannot be described before they touch the disk', async () => {
    const wrong = { x: { ...small.x, shape: [9] } }
    await expect(writeSafetensorsFile(join(folder, 'a'), wrong)).rejects.toMatchObject({
      code: 'SAFETENSORS_SIZE_MISMATCH',
    })
    expect(await files.readdir(folder)).toEqual([])
  })
})

describe('openSafetensorsFile', () => {
  it('reads the header first and single tensors on demand', async () => {
    const path = join(folder, 'model.safetensors')
    await writeSafetensorsFile(path, { ...small, y: { dtype: 'I8', shape: [1], bytes: new Int8Array([-3]) } })
    const file = await openSafetensorsFile(path)
    expect([...file.tensors.keys()]).toEqual(['x', 'y'])
    expect(await file.read('y')).toEqual({ dtype: 'I8', shape: [1], bytes: new Uint8Array([253]) })
    await expect(file.read('z')).rejects.toThrow(/no tensor "z", but \["x","y"\]/)
    await file.close()
  })

  it('refuses damaged files with the path in the message', async () => {
    const path = join(folder, 'model.safetensors')
    await files.writeFile(path, serializeSafetensors(small).subarray(0, -1))
    await expect(openSafetensorsFile(path)).rejects.toMatchObject({ code: 'SAFETENSORS_TRUNCATED' })
    await expect(openSafetensorsFile(path)).rejects.toThrow(path)
    await files.writeFile(path, 'hi')
    await expect(readSafetensorsFile(path)).rejects.toMatchObject({ code: 'SAFETENSORS_TRUNCATED' })
  })

  it('notices a file that shrinks while it is read', async () => {
    const path = join(folder, 'model.safetensors')
    await writeSafetensorsFile(path, small)
    const file = await openSafetensorsFile(path)
    await files.truncate(path, 20)
    await expect(file.read('x')).rejects.toMatchObject({ code: 'SAFETENSORS_TRUNCATED' })
    await file.close()
  })

  it('refuses missing files and folders', async () => {
    const missing = readSafetensorsFile(join(folder, 'none'))
    await expect(missing).rejects.toMatchObject({ code: 'SAFETENSORS_READ_FAILED', cause: { code: 'ENOENT' } })
    await expect(readSafetensorsFile(folder)).rejects.toThrow(/not a regular file/)
  })
})
