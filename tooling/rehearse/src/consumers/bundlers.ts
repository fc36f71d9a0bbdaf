import { spawn } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { gzipSync } from 'node:zlib'
import { type Consumer, type ConsumerContext, expectDevice } from '../consumer.ts'
import { isolation } from '../pages.ts'

const page = (script: string) =>
  `<!doctype html><meta charset="utf-8"><title>Consumer</title><div id="root"></div><script type="module" src="${script}"></script>`

/** Kilobytes with gzip of all scripts of a build; text of packages that were not imported must not be there. */
function weigh(folder: string): string {
  const scripts = globSync('**/*.js', { cwd: folder }).map((file) => readFileSync(join(folder, file)))
  const bytes = scripts.reduce((sum, script) => sum + gzipSync(script, { level: 9 }).byteLength, 0)
  const unwanted = ['SAFETENSORS_TRUNCATED', 'cooktoom', 'threadScratch '].filter((text) =>
    scripts.some((script) => script.includes(text)),
  )
  if (unwanted.length > 0) throw new Error(`the bundle holds what the program does not use: ${unwanted.join(', ')}`)
  return `${(bytes / 1000).toFixed(0)} kB with gzip`
}

const wasmPackages = ['@tessera/core', '@tessera/backend-wasm', '@tessera/nn']

const withEsbuild: Consumer = {
  name: 'esbuild',
  check: async (context) => {
    context.write(['train.js', 'page.js'], { 'index.html': page('dist/page.js') })
    await context.install(...wasmPackages, 'esbuild')
    await context.run(context.binary('esbuild'), 'page.js', '--bundle', '--minify', '--format=esm', '--outdir=dist')
    const ran = await context.pages.runFolder(context.folder)
    return `${expectDevice(ran, 'wasm', 2)}, ${weigh(join(context.folder, 'dist'))}`
  },
}

const withoutIsolation: Consumer = {
  name: 'a page without isolation',
  check: async (context) => {
    context.write(['train.js', 'page.js'], { 'index.html': page('dist/page.js') })
    await context.install(...wasmPackages, 'esbuild')
    await context.run(context.binary('esbuild'), 'page.js', '--bundle', '--format=esm', '--outdir=dist')
    return expectDevice(await context.pages.runFolder(context.folder, { isolated: false }), 'wasm', 1)
  },
}

const withWebpack: Consumer = {
  name: 'webpack',
  check: async (context) => {
    context.write(['train.js', 'page.js'], { 'index.html': page('dist/main.js') })
    await context.install(...wasmPackages, 'webpack', 'webpack-cli')
    await context.run(context.binary('webpack'), '--mode', 'production', '--entry', './page.js')
    const ran = await context.pages.runFolder(context.folder)
    return `${expectDevice(ran, 'wasm', 2)}, ${weigh(join(context.folder, 'dist'))}`
  },
}

const withVite: Consumer = {
  name: 'Vite, production',
  check: async (context) => {
    context.write(['train.js', 'page.js'], { 'index.html': page('/page.js') })
    await context.install(...wasmPackages, 'vite')
    await context.run(context.binary('vite'), 'build')
    const ran = await context.pages.runFolder(join(context.folder, 'dist'))
    return `${expectDevice(ran, 'wasm', 2)}, ${weigh(join(context.folder, 'dist'))}`
  },
}

/** Starts the development server of Vite and runs a page of it. */
async function develop(context: ConsumerContext): ReturnType<ConsumerContext['pages']['run']> {
  const server = spawn(context.binary('vite'), ['--host', '127.0.0.1'], {
    cwd: context.folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  try {
    const url = await new Promise<string>((resolve, reject) => {
      let output = ''
      const read = (text: Buffer) => {
        output += text
        const found = /http:\/\/127\.0\.0\.1:(\d+)/.exec(stripVTControlCharacters(output))
        if (found) resolve(`http://127.0.0.1:${found[1]}/`)
      }
      server.stdout.on('data', read)
      server.stderr.on('data', read)
      server.on('exit', () => reject(new Error(`vite ended: ${output}`)))
    })
    return await context.pages.run(url)
  } finally {
    server.kill()
  }
}

const withViteServer: Consumer = {
  name: 'Vite, development',
  check: async (context) => {
    const settings = `export default { server: { headers: ${JSON.stringify(isolation)} } }`
    context.write(['train.js', 'page.js'], { 'index.html': page('/page.js'), 'vite.config.js': settings })
    await context.install(...wasmPackages, 'vite')
    return expectDevice(await develop(context), 'wasm', 2)
  },
}

const withWebGpu: Consumer = {
  name: 'Vite with WebGPU',
  check: async (context) => {
    context.write(['train.js', 'page-webgpu.js'], { 'index.html': page('/page-webgpu.js') })
    await context.install('@tessera/core', '@tessera/backend-webgpu', '@tessera/nn', 'vite')
    await context.run(context.binary('vite'), 'build')
    const ran = await context.pages.runFolder(join(context.folder, 'dist'))
    return `${expectDevice(ran, 'webgpu')}, ${weigh(join(context.folder, 'dist'))}`
  },
}

const inWorker: Consumer = {
  name: 'a web worker',
  check: async (context) => {
    context.write(['train.js', 'page-worker.js', 'worker.js'], { 'index.html': page('/page-worker.js') })
    await context.install(...wasmPackages, 'vite')
    const settings = "export default { worker: { format: 'es' } }"
    context.write([], { 'vite.config.js': settings })
    await context.run(context.binary('vite'), 'build')
    return expectDevice(await context.pages.runFolder(join(context.folder, 'dist')), 'wasm')
  },
}

const withImportMap: Consumer = {
  name: 'a bare page with an import map',
  check: async (context) => {
    const imports = Object.fromEntries(wasmPackages.map((name) => [name, `/node_modules/${name}/dist/index.js`]))
    const html = `<!doctype html><meta charset="utf-8"><title>Consumer</title><script type="importmap">${JSON.stringify({ imports })}</script><script type="module" src="page.js"></script>`
    context.write(['train.js', 'page.js'], { 'index.html': html })
    await context.install(...wasmPackages)
    // The map is a script in the page itself, which the policy would forbid.
    return expectDevice(await context.pages.runFolder(context.folder, { policy: false }), 'wasm', 2)
  },
}

const inReact: Consumer = {
  name: 'React component',
  check: async (context) => {
    context.write(['app.jsx'], {
      'index.html': page('/app.jsx'),
      'vite.config.js': "import react from '@vitejs/plugin-react'\nexport default { plugins: [react()] }",
    })
    await context.install('@tessera/core', 'vite', 'react', 'react-dom', '@vitejs/plugin-react')
    await context.run(context.binary('vite'), 'build')
    return expectDevice(await context.pages.runFolder(join(context.folder, 'dist')), 'reference')
  },
}

export const bundlerConsumers: readonly Consumer[] = [
  withEsbuild,
  withWebpack,
  withVite,
  withViteServer,
  withWebGpu,
  inReact,
  inWorker,
  withImportMap,
  withoutIsolation,
]
