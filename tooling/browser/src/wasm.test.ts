import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from './bundle.ts'
import { chromiumPath, launchChromium } from './chromium.ts'
import type { Checks } from './pages/wasm.ts'
import { type ServedFolder, serveFiles } from './serve.ts'

const page = (script: string) => ({
  type: 'text/html',
  body: `<!doctype html><meta charset="utf-8"><title>wasm</title><script type="module">${script}</script>`,
})

/** Continuous integration installs Chromium: there it must not be missing. */
const isMissing = chromiumPath() === undefined && !process.env.CI

describe.skipIf(isMissing)('wasm in Chromium', () => {
  let browser: Browser
  const servers: ServedFolder[] = []

  beforeAll(async () => {
    const script = { type: 'text/javascript', body: await bundleModule(join(import.meta.dirname, 'pages/wasm.ts')) }
    const files = {
      '/': page('import "/wasm.js"'),
      '/wasm.js': script,
      '/worker': page(`
        const worker = new Worker('/wasm.js', { type: 'module' })
        globalThis.checks = new Proxy({}, {
          get: (_, name) => (...args) => new Promise((resolve, reject) => {
            worker.onmessage = ({ data }) => ('error' in data ? reject(new Error(data.error)) : resolve(data.result))
            worker.onerror = (event) => reject(new Error(event.message))
            worker.postMessage([name, args])
          }),
        })`),
    }
    servers.push(
      await serveFiles(files),
      await serveFiles(files, { isolated: false }),
      await serveFiles(files, { headers: { 'Content-Security-Policy': "worker-src 'self'" } }),
    )
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await Promise.all(servers.map((server) => server.close()))
  })

  /** Opens a page of a server; gives it with what it warned of. */
  async function open(server: number, path = '/'): Promise<{ page: Page; warnings: string[] }> {
    await Promise.all(browser.contexts().map((context) => context.close()))
    const opened = await browser.newPage()
    const warnings: string[] = []
    opened.on('console', (message) => {
      if (message.type() === 'warning') warnings.push(message.text())
    })
    await opened.goto(servers[server]!.url + path)
    await opened.waitForFunction(() => 'checks' in globalThis)
    return { page: opened, warnings }
  }

  async function ask<Name extends keyof Checks>(
    target: Page,
    name: Name,
    ...args: Parameters<Checks[Name]>
  ): Promise<Awaited<ReturnType<Checks[Name]>>> {
    return target.evaluate(
      ([name, args]) =>
        (globalThis as unknown as { checks: Record<string, (...args: unknown[]) => never> }).checks[name]!(...args),
      [name, args] as const,
    )
  }

  for (const path of ['/', '/worker']) {
    describe(path === '/' ? 'page' : 'worker', () => {
      it('uses threads, and keeps the event loop turning while they compute', async () => {
        const { page } = await open(0, path)
        expect(await ask(page, 'describe', { threads: 3 })).toEqual({ variant: 'relaxed', threads: 3, sum: 12 })
        expect(await ask(page, 'describe', { threads: 1 })).toEqual({ variant: 'relaxed', threads: 1, sum: 12 })
        const { turns, value } = await ask(page, 'responsiveness')
        expect(value).toBeCloseTo(1)
        expect(turns).toBeGreaterThan(1)
      })

      const thread = path === '/' ? 1 : 0
      it(`says that the worker of thread ${thread} was lost, and replaces it`, async () => {
        const { page } = await open(0, path)
        const { first, again } = await ask(page, 'lostWorker', thread)
        expect(first).toMatch(new RegExp(`^THREAD_FAILED .*thread ${thread} of 3 failed: its worker is gone`))
        expect(again).toBe(1_000_000)
      })
    })
  }

  it('runs, writes and reads in the order in which it is asked', async () => {
    const { page } = await open(0)
    expect(await ask(page, 'order')).toEqual(Array.from({ length: 20 }, (_, i) => ((i + 1) * (i + 2)) / 2))
  })

  it('keeps two runtimes apart, and closes one that is busy', async () => {
    const { page } = await open(0)
    expect(await ask(page, 'twoRuntimes')).toEqual([1, -1, 2, -2, 3, -3, 4, -4, 5, -5].map((i) => i * 1_000_000))
    expect(await ask(page, 'closedWhileBusy')).toBe('CLOSED')
  })

  it('measures its calls', async () => {
    const { page } = await open(0)
    expect(await ask(page, 'profile')).toMatch(/µs in \d+ calls/)
  })

  it('uses one thread without cross-origin isolation, and says so once', async () => {
    const { page, warnings } = await open(1)
    for (let i = 0; i < 2; i++)
      expect(await ask(page, 'describe', { threads: 2 })).toMatchObject({ threads: 1, sum: 12 })
    expect(warnings).toEqual([expect.stringMatching(/not cross-origin isolated .*; using one thread instead of 2/)])
  })

  it('uses one thread where the content security policy forbids its workers, and says so', async () => {
    const { page, warnings } = await open(2)
    expect(await ask(page, 'describe', { threads: 2 })).toMatchObject({ threads: 1, sum: 12 })
    expect(warnings.join()).toMatch(/does not start.*worker-src blob:/)
  })

  // Every test runs in one of the four, in another one each day or by the seed.
  const seed = Number(process.env.TESSERA_SEED ?? Math.floor(Date.now() / 86_400_000))
  for (const [index, variant] of (['plain', 'relaxed'] as const).entries()) {
    for (const threads of [1, 2]) {
      const first = (2 * index + threads - 1 + seed) % 4
      it(`passes its part of the conformance suite: ${variant}, ${threads} threads (TESSERA_SEED=${seed})`, async () => {
        const { page } = await open(0)
        const { count, failures } = await ask(page, 'conformance', { variant, threads }, first, 4)
        expect(count).toBeGreaterThan(100)
        expect(failures).toEqual([])
      })
    }
  }
})
