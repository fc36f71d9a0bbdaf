import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { bundleModule, type ServedFile } from '@tessera/browser'
import wabt from 'wabt'
import { fmaAccumulators } from '../cases/limits.ts'
import type { Schedule } from '../harness/alternate.ts'
import { fmaText } from '../implementations/fma-text.ts'
import { packageVersion } from '../implementations/library.ts'
import { pageBody } from './view.ts'

export interface PageOptions {
  /** Names of the cases to time. */
  readonly cases: readonly string[]
  readonly threads: number
  readonly schedule: Schedule
}

const packages = ['@tessera/core', 'onnxruntime-web', '@tensorflow/tfjs-core', '@jax-js/jax']

/** The page, its script, and the files that the peers load, by path. */
export async function buildPage({ cases, threads, schedule }: PageOptions): Promise<Record<string, ServedFile>> {
  const define = {
    fmaModule: JSON.stringify(await fmaModule()),
    packageVersions: JSON.stringify(Object.fromEntries(packages.map((name) => [name, packageVersion(name)]))),
    pageCases: JSON.stringify(cases),
    pageThreads: String(threads),
    pageSchedule: JSON.stringify(schedule),
    'process.version': '"in a browser"',
  }
  const here = import.meta.dirname
  const script = await bundleModule(join(here, 'page.ts'), {
    define,
    replace: {
      [join(here, '../implementations/library.ts')]: join(here, 'library.ts'),
      [join(here, '../implementations/dawn.ts')]: join(here, 'dawn.ts'),
    },
    external: ['onnxruntime-web', 'onnxruntime-node'],
  })
  // Its threads start the module that it is itself in: it must not be a part of the page's script.
  const imports = JSON.stringify({ imports: { 'onnxruntime-web': '/ort.wasm.min.mjs' } })
  const html = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Tessera bench</title><script type="importmap">${imports}</script>${pageBody}<script type="module" src="/page.js"></script>`
  return {
    '/': { type: 'text/html', body: html },
    '/page.js': { type: 'text/javascript', body: script },
    ...peerFiles('onnxruntime-web', /^ort(\.wasm\.min|-wasm-simd-threaded)\.(mjs|wasm)$/),
    ...peerFiles('@tensorflow/tfjs-backend-wasm', /\.wasm$/),
  }
}

/** Files that a library loads from where the script came from. */
function peerFiles(name: string, files: RegExp): Record<string, ServedFile> {
  let folder: string
  try {
    folder = dirname(createRequire(import.meta.url).resolve(name))
  } catch {
    return {}
  }
  return Object.fromEntries(
    readdirSync(folder)
      .filter((file) => files.test(file))
      .map((file) => [
        `/${file}`,
        {
          type: file.endsWith('.wasm') ? 'application/wasm' : 'text/javascript',
          body: readFileSync(join(folder, file)),
        },
      ]),
  )
}

/** The loop that reaches the limit of multiply-adds with 128 bits, assembled, base64. */
async function fmaModule(): Promise<string> {
  const { parseWat } = await wabt()
  const parsed = parseWat('fma.wat', fmaText(fmaAccumulators['fma-128'], 1), { simd: true, relaxed_simd: true })
  return Buffer.from(parsed.toBinary({}).buffer).toString('base64')
}
