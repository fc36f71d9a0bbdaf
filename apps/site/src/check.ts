/**
 * Opens the built site in headless Chromium, runs its live examples and takes pictures:
 *
 *   node src/check.ts [FOLDER FOR PICTURES]
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { serve } from 'vitepress'

const pictures = process.argv[2]
const port = 4173
const address = `http://localhost:${port}`
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium'

/** Pages to look at, and what must be on them. */
const pages = [
  ['/', 'Deep learning for TypeScript'],
  ['/guides/first-model', 'First model in ten minutes'],
  ['/packages/core', '@tessera/core'],
  ['/api/', 'API'],
  ['/benchmarks', 'Benchmarks'],
] as const

async function lookAtPages(browser: Browser): Promise<void> {
  for (const [path, text] of pages) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    const errors: string[] = []
    page.on('pageerror', (error) => errors.push(error.message))
    const response = await page.goto(address + path, { waitUntil: 'networkidle' })
    if (!response?.ok()) throw new Error(`${path}: answered ${response?.status()}`)
    await page.getByText(text).first().waitFor({ timeout: 10_000 })
    if (errors.length > 0) throw new Error(`${path}: ${errors.join('; ')}`)
    const name = path === '/' ? 'home' : path.replaceAll('/', '-').replace(/^-|-$/g, '')
    if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`) })
    await page.close()
  }
}

async function runLiveExamples(browser: Browser): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } })
  await page.goto(`${address}/guides/live`, { waitUntil: 'networkidle' })
  const examples = page.locator('.live-example')
  const count = await examples.count()
  if (count === 0) throw new Error('/guides/live: has no examples')
  for (let i = 0; i < count; i++) {
    const example = examples.nth(i)
    await example.getByRole('button', { name: /^Run/ }).click()
    await page.waitForFunction(
      (at) => /done|failed/.test(document.querySelectorAll<HTMLElement>('.live-example')[at]!.dataset.state!),
      i,
      { timeout: 120_000 },
    )
    const output = await example.locator('.live-output').textContent()
    if ((await example.getAttribute('data-state')) !== 'done')
      throw new Error(`live example ${i + 1} failed: ${output}`)
    console.log(output?.replaceAll(/^/gm, '  '))
  }
  if (pictures) await page.screenshot({ path: join(pictures, 'live.png'), fullPage: true })
}

if (pictures) mkdirSync(pictures, { recursive: true })
await serve({ root: join(import.meta.dirname, '..'), port })
const browser = await chromium.launch({
  executablePath,
  // Offers a software adapter to the example for WebGPU.
  args: ['--no-sandbox', '--enable-unsafe-webgpu', '--disable-background-networking'],
})
try {
  await lookAtPages(browser)
  await runLiveExamples(browser)
  console.log(`site: ${pages.length} pages and their live examples work`)
} finally {
  await browser.close()
}
// The server has no handle to close: it ends with the process.
process.exit()
