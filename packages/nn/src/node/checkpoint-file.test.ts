import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { tensor } from '@tessera/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { captureCheckpoint } from '../checkpoints/checkpoint.ts'
import { writeSafetensorsFile } from '../safetensors/node-files.ts'
import { checkpointFile, loadCheckpoint } from './checkpoint-file.ts'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tessera-checkpoint-'))
  path = join(folder, 'run.safetensors')
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const capture = (step: number) => captureCheckpoint({ model: { weight: tensor([1, 2, step]) } }, { step, name: 'run' })

describe('checkpointFile', () => {
  test('keeps the last checkpoint in one file', async () => {
    const file = checkpointFile(path)
    expect(file.location).toBe(path)
    for (const step of [1, 2]) await file.save(await capture(step))
    expect(await readdir(folder)).toEqual(['run.safetensors'])
    const { tensors, metadata } = await file.load()
    expect(metadata).toEqual({ step: 2, name: 'run' })
    expect([...tensors.keys()]).toEqual(['model.weight'])
    expect(new Float32Array(tensors.get('model.weight')!.bytes.slice().buffer)).toEqual(new Float32Array([1, 2, 2]))
  })

  test('leaves the last checkpoint intact when saving fails', async () => {
    const file = checkpointFile(path)
    await file.save(await capture(1))
    const bytes = await readFile(path)
    const broken = await capture(2)
    const tensors = new Map([['model.weight', { ...broken.tensors.get('model.weight')!, shape: [4] }]])
    await expect(file.save({ ...broken, tensors })).rejects.toThrow(/takes 16 bytes, but 12 were given/)
    expect(await readFile(path)).toEqual(bytes)
    await expect(checkpointFile(join(folder, 'no', 'run')).save(broken)).rejects.toThrow(
      /could not be written.*Check that the folder exists/,
    )
  })

  test('names a file that is missing, truncated or not a checkpoint', async () => {
    await expect(loadCheckpoint(path)).rejects.toThrow(/run\.safetensors could not be read.*Check the path/)
    await checkpointFile(path).save(await capture(1))
    await truncate(path, (await readFile(path)).length - 4)
    await expect(loadCheckpoint(path)).rejects.toThrow(/run\.safetensors: .*cut off/)
    await writeFile(path, 'not a checkpoint')
    await expect(loadCheckpoint(path)).rejects.toThrow(/run\.safetensors: .*header/)
    await writeSafetensorsFile(path, {})
    await expect(loadCheckpoint(path)).rejects.toThrow(
      /run\.safetensors is not a checkpoint that can be used: .*without the metadata/,
    )
  })
})
