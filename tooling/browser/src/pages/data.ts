/** Runs in the page: what the tests of data loading ask for. */
import {
  Dataset,
  decodeImage,
  decodeWav,
  encodePng,
  encodeWav,
  type HostTensor,
  Loader,
  parseIdx,
  WorkerPool,
} from '@tessera/nn/data'
import { loadHubFile } from '@tessera/nn/hub'
import { encodeNpz, parseNpz } from '@tessera/nn/interop'

const checks = {
  /** Squares of a list, made in workers. */
  async workers(module: string): Promise<{ squares: number[]; error: string }> {
    const pool = new WorkerPool<HostTensor, HostTensor>(new URL(module, location.href), { workers: 2 })
    const items = Array.from({ length: 8 }, (_, i) => ({ data: Float32Array.of(i), shape: [1] }))
    const squares: number[] = []
    for await (const batch of new Loader(Dataset.of(items).mapIn(pool).batch(4))) squares.push(...batch.data)
    const error = await pool.run({ data: Float32Array.of(-1), shape: [1] }).then(
      () => '',
      (reason: Error) => reason.message,
    )
    pool.close()
    return { squares, error }
  },

  async readers(): Promise<{ image: number[]; samples: number; idx: number[]; archive: number[] }> {
    const image = await decodeImage(await encodePng({ data: Uint8Array.of(1, 2, 3, 4), shape: [1, 2, 2] }), {
      channels: 1,
    })
    const sound = { samples: { data: new Float32Array(100).fill(0.5), shape: [1, 100] }, sampleRate: 8000 }
    const { samples } = await decodeWav(await encodeWav(sound, { encoding: 'mulaw' }))
    const idx = new Blob([Uint8Array.of(0, 0, 8, 1, 0, 0, 0, 2, 3, 7)])
      .stream()
      .pipeThrough(new CompressionStream('gzip'))
    const { data } = await parseIdx(new Uint8Array(await new Response(idx).arrayBuffer()))
    const archive = parseNpz(encodeNpz({ x: { dtype: 'i32', shape: [2], data: Int32Array.of(5, 6) } }))
    return {
      image: [...image.data],
      samples: samples.data[50]!,
      idx: [...data],
      archive: Array.from(archive.get('x')!.data as Int32Array),
    }
  },

  /** The length of a file of the hub, loaded twice. */
  async hub(): Promise<number[]> {
    const options = { repo: 'owner/name', path: 'file.bin', hubUrl: location.origin }
    return [(await loadHubFile(options)).length, (await loadHubFile(options)).length]
  },
}

export type DataChecks = typeof checks
Object.assign(globalThis, { checks })
