import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from './bundle.ts'
import { chromiumPath, launchChromium } from './chromium.ts'
import type { Checks } from './pages/webgpu.ts'
import { type ServedFolder, serveFiles } from './serve.ts'

/** Continuous integration installs Chromium: there it must not be missing. */
const isMissing = chromiumPath() === undefined && !process.env.CI

describe.skipIf(isMissing)('webgpu in Chromium, on SwiftShader', () => {
  let browser: Browser
  let server: ServedFolder
  let page: Page

  beforeAll(async () => {
    const script = await bundleModule(join(import.meta.dirname, 'pages/webgpu.ts'))
    server = await serveFiles({
      '/': {
        type: 'text/html',
        body: '<!doctype html><meta charset="utf-8"><title>webgpu</title><script type="module" src="/webgpu.js"></script>',
      },
      '/webgpu.js': { type: 'text/javascript', body: script },
    })
    // Without a graphics card Chromium offers its software adapter to those who ask for it.
    browser = await launchChromium(['--enable-unsafe-webgpu'])
    page = await browser.newPage()
    await page.goto(server.url)
    await page.waitForFunction(() => 'checks' in globalThis)
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
  })

  async function ask<Name extends keyof Checks>(
    name: Name,
    ...args: Parameters<Checks[Name]>
  ): Promise<Awaited<ReturnType<Checks[Name]>>> {
    return page.evaluate(
      ([name, args]) =>
        (globalThis as unknown as { checks: Record<string, (...args: unknown[]) => never> }).checks[name]!(...args),
      [name, args] as const,
    )
  }

  it('opens an adapter', async () => {
    expect(await ask('describe')).toEqual({
      backend: 'webgpu',
      variant: expect.stringMatching(/swiftshader/),
      sum: 12,
    })
  })

  // In parts, so that none takes as long as a test may.
  const parts = 8
  it.each(Array.from({ length: parts }, (_, part) => part))('passes the conformance suite, part %i', async (part) => {
    const { count, failures } = await ask('conformance', part, parts)
    expect(failures).toEqual([])
    expect(count).toBeGreaterThan(50)
  })

  it('trains a GPT and continues a text as the reference backend does', async () => {
    const { webgpu, reference } = await ask('training', 5)
    webgpu.losses.forEach((loss, i) => {
      expect(loss).toBeCloseTo(reference.losses[i]!, 4)
    })
    expect(webgpu.losses.at(-1)).toBeLessThan(webgpu.losses[0]!)
    expect(webgpu.sampled).toEqual(reference.sampled)
  })

  it('says that the device was lost, and opens another one', async () => {
    expect(await ask('lost')).toEqual({ code: 'DEVICE_LOST', again: 12 })
  })
})
