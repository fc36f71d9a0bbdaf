import { createServer, type Server } from 'node:http'
import { gzipSync } from 'node:zlib'
import { type Browser, chromium } from 'playwright-core'
import sirv from 'sirv'
import type { Ran } from './consumer.ts'

/** What lets a page share memory between threads. */
export const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

/** The policy that SECURITY.md asks for: a page under it must work. */
const contentSecurityPolicy = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:"

export interface ServeOptions {
  /** Whether the page may share memory between threads. */
  readonly isolated?: boolean
  /** Whether the policy of SECURITY.md is set. */
  readonly policy?: boolean
}

/** How a page came up. */
export interface Load {
  /** Scripts and WebAssembly modules that it asked for, with gzip. */
  readonly bytes: number
  /** From navigation to its result. */
  readonly milliseconds: number
}

/** Opens pages of consumers in headless Chromium. */
export class Pages {
  readonly #browser: Browser

  private constructor(browser: Browser) {
    this.#browser = browser
  }

  static async open(): Promise<Pages> {
    const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'
    const args = ['--no-sandbox', '--enable-unsafe-webgpu', '--disable-background-networking']
    return new Pages(await chromium.launch({ executablePath, args }))
  }

  close(): Promise<void> {
    return this.#browser.close()
  }

  /** Opens a page and waits for what its program leaves in `globalThis.result`. */
  async run(url: string): Promise<Ran> {
    const page = await this.#browser.newPage()
    const messages: string[] = []
    page.on('console', (message) => messages.push(message.text()))
    page.on('pageerror', (error) => messages.push(error.message))
    try {
      await page.goto(url)
      await page.waitForFunction(() => 'result' in globalThis, undefined, { timeout: 60_000 })
      return await page.evaluate(() => (globalThis as unknown as { result: Promise<Ran> }).result)
    } catch (error) {
      throw new Error(`${url}: ${error instanceof Error ? error.message : String(error)}\n${messages.join('\n')}`)
    } finally {
      await page.close()
    }
  }

  /** Serves a folder as a page and runs it. */
  runFolder(folder: string, { isolated = true, policy = true }: ServeOptions = {}): Promise<Ran> {
    return this.#serve(folder, { isolated, policy }, (origin) => this.run(origin))
  }

  /** Serves a folder and opens it with an empty cache; its program leaves the milliseconds since navigation in `globalThis.result`. */
  load(folder: string): Promise<Load> {
    return this.#serve(folder, { isolated: true }, async (origin) => {
      const context = await this.#browser.newContext()
      try {
        const page = await context.newPage()
        const bodies: Promise<Buffer>[] = []
        page.on('response', (response) => {
          if (response.url().startsWith('http') && /\.(m?js|wasm)$/.test(response.url())) bodies.push(response.body())
        })
        await page.goto(origin)
        await page.waitForFunction(() => 'result' in globalThis, undefined, { timeout: 60_000 })
        const { sinceNavigation } = await page.evaluate(
          () => (globalThis as unknown as { result: Promise<{ sinceNavigation: number }> }).result,
        )
        const bytes = (await Promise.all(bodies)).reduce(
          (sum, body) => sum + gzipSync(body, { level: 9 }).byteLength,
          0,
        )
        return { bytes, milliseconds: sinceNavigation }
      } finally {
        await context.close()
      }
    })
  }

  async #serve<Value>(
    folder: string,
    { isolated, policy }: ServeOptions,
    work: (origin: string) => Promise<Value>,
  ): Promise<Value> {
    const files = sirv(folder, { dev: true })
    const headers = { ...(isolated && isolation), ...(policy && { 'Content-Security-Policy': contentSecurityPolicy }) }
    const server: Server = createServer((request, response) => {
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
      files(request, response, () => {
        response.writeHead(404).end()
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    try {
      return await work(`http://localhost:${port}`)
    } finally {
      server.close()
      server.closeAllConnections()
    }
  }
}
