import { lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConsumerContext } from './consumer.ts'
import type { Load, Pages } from './pages.ts'
import type { LocalRegistry } from './registry.ts'

/** What a page has to load of a library for a job. */
export interface Delivery {
  readonly name: string
  /** Program in `programs/delivery/`. */
  readonly program: string
  /** What the job needs, as a user would install it. */
  readonly packages: readonly string[]
}

const peers = { tfjs: '4.22.0', 'jax-js': '0.1.25', onnxruntime: '1.30.0' }

/** The same job by every library, the product of two matrices, and what Tessera adds for more. */
export const deliveries: readonly Delivery[] = [
  { name: 'core', program: 'tessera-core', packages: ['@tessera/core'] },
  { name: 'core + wasm', program: 'tessera-wasm', packages: ['@tessera/core', '@tessera/backend-wasm'] },
  {
    name: 'core + wasm + winograd',
    program: 'tessera-winograd',
    packages: ['@tessera/core', '@tessera/backend-wasm', '@tessera/kernel-winograd'],
  },
  {
    name: 'GPT inference (core + wasm + models-gpt)',
    program: 'tessera-gpt',
    packages: ['@tessera/core', '@tessera/backend-wasm', '@tessera/nn', '@tessera/models-gpt'],
  },
  {
    name: `tfjs ${peers.tfjs}, wasm`,
    program: 'tfjs-wasm',
    packages: [`@tensorflow/tfjs-core@${peers.tfjs}`, `@tensorflow/tfjs-backend-wasm@${peers.tfjs}`],
  },
  { name: `jax-js ${peers['jax-js']}, wasm`, program: 'jax-js-wasm', packages: [`@jax-js/jax@${peers['jax-js']}`] },
  {
    name: `onnxruntime-web ${peers.onnxruntime}, wasm`,
    program: 'onnxruntime-web',
    packages: [`onnxruntime-web@${peers.onnxruntime}`],
  },
]

export interface DeliveryFigures {
  readonly name: string
  /** Packages in `node_modules`, those of dependencies too. */
  readonly packages: number
  /** All files of them. */
  readonly installedBytes: number
  /** Scripts and WebAssembly modules that the page loads, minified, with gzip. */
  readonly loadedBytes: number
  /** From navigation to a result that was checked, with an empty cache. */
  readonly milliseconds: readonly number[]
}

/** Installs each library, bundles its program, and opens the pages in turn. */
export async function measureDeliveries(
  folder: string,
  registry: LocalRegistry,
  pages: Pages,
  rounds: number,
): Promise<readonly DeliveryFigures[]> {
  const projects = []
  for (const delivery of deliveries) {
    const context = new ConsumerContext(join(folder, delivery.program), registry, pages)
    projects.push({ ...delivery, context, ...(await build(context, delivery)), loads: [] as Load[] })
  }
  // In turn, so that a slow minute of the machine meets all of them. The first round warms the browser.
  for (let round = 0; round <= rounds; round++) {
    for (const { context, loads } of projects) {
      const load = await pages.load(context.folder)
      if (round > 0) loads.push(load)
    }
  }
  return projects.map(({ name, packages, installedBytes, loads }) => ({
    name,
    packages,
    installedBytes,
    loadedBytes: loads[0]!.bytes,
    milliseconds: loads.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b),
  }))
}

async function build(
  context: ConsumerContext,
  { program, packages }: Delivery,
): Promise<{ packages: number; installedBytes: number }> {
  context.write(['delivery/operands.js', `delivery/${program}.js`], {
    'index.html':
      '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Delivery</title><script type="module" src="/page.js"></script>',
  })
  await context.install(...packages)
  const modules = join(context.folder, 'node_modules')
  const lock = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8')) as { packages: object }
  const figures = { packages: Object.keys(lock.packages).length, installedBytes: bytesOf(modules) }
  const tools = join(context.folder, 'tools')
  mkdirSync(tools)
  await context.run('npm', 'install', '--no-save', '--prefer-offline', '--prefix', tools, 'esbuild')
  await context.run(
    join(tools, 'node_modules/.bin/esbuild'),
    `delivery/${program}.js`,
    '--bundle',
    '--minify',
    '--format=esm',
    '--platform=browser',
    '--outfile=page.js',
  )
  return figures
}

function bytesOf(path: string): number {
  const entry = lstatSync(path)
  if (!entry.isDirectory()) return entry.size
  return readdirSync(path).reduce((sum, name) => sum + bytesOf(join(path, name)), 0)
}
