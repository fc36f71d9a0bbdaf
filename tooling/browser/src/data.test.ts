import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bundleModule } from './bundle.ts'
import { chromiumPath, launchChromium } from './chromium.ts'
import type { DataChecks } from './pages/data.ts'

/** Continuous integration installs Chromium: there it must not be missing. */
const isMissing = chromiumPath() === undefined && !process.env.CI

const square = `export default ({ data, shape }) => {
  if (data[0] === -1) throw new RangeError('a negative number')
  return { data: data.map((x) => x * x), shape }
}`
const content = Uint8Array.from({ length: 5000 }, (_, i) => i & 255)

describe.skipIf(isMissing)('data loading in Chromium', () => {
  let browser: Browser
  let server: Server
  let page: Page
  let downloads = 0

  beforeAll(async () => {
    // esbuild does not find the browser build by itself.
    const hub = fileURLToPath(new URL('browser/index.mjs', import.meta.resolve('@huggingface/hub')))
    const script = await bundleModule(join(import.meta.dirname, 'pages/data.ts'), {
      alias: { '@huggingface/hub': hub },
    })
    const files: Record<string, [type: string, body: string]> = {
      '/': [
        'text/html',
        '<!doctype html><meta charset="utf-8"><title>data</title><script type="module" src="/data.js"></script>',
      ],
      '/data.js': ['text/javascript', script],
      '/square.js': ['text/javascript', square],
    }
    server = createServer((request, response) => {
      const file = files[request.url!]
      if (file) response.writeHead(200, { 'Content-Type': file[0] }).end(file[1])
      else if (request.url === '/owner/name/resolve/main/file.bin') {
        const [start, end] = /bytes=(\d+)-(\d*)/.exec(request.headers.range ?? '')?.slice(1) ?? ['0', '']
        if (end !== '0') downloads++
        const body = content.slice(Number(start), end ? Number(end) + 1 : undefined)
        const range = `bytes ${start}-${Number(start) + body.length - 1}/${content.length}`
        const tag = createHash('sha256').update(content).digest('hex')
        response.writeHead(request.headers.range ? 206 : 200, { ETag: `"${tag}"`, 'Content-Range': range }).end(body)
      } else response.writeHead(404).end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    browser = await launchChromium()
    page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await page.waitForFunction(() => 'checks' in globalThis)
  })
  afterAll(async () => {
    await browser?.close()
    server?.close()
  })

  async function ask<Name extends keyof DataChecks>(
    name: Name,
    ...args: Parameters<DataChecks[Name]>
  ): Promise<Awaited<ReturnType<DataChecks[Name]>>> {
    return page.evaluate(
      ([name, args]) =>
        (globalThis as unknown as { checks: Record<string, (...args: unknown[]) => never> }).checks[name]!(...args),
      [name, args] as const,
    )
  }

  it('maps in workers, and reports what fails there', async () => {
    const { squares, error } = await ask('workers', '/square.js')
    expect(squares).toEqual([0, 1, 4, 9, 16, 25, 36, 49])
    expect(error).toMatch(/function of the workers failed: RangeError: a negative number/)
  })

  it('reads images, sound, gzipped IDX and NumPy files', async () => {
    const { image, samples, idx, archive } = await ask('readers')
    expect([image, idx, archive]).toEqual([
      [1, 2, 3, 4],
      [3, 7],
      [5, 6],
    ])
    expect(samples).toBeCloseTo(0.5, 1)
  })

  it('keeps files of the hub in the browser’s cache', async () => {
    expect(await ask('hub')).toEqual([5000, 5000])
    expect(downloads).toBe(1)
  })
})
