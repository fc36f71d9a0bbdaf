import { launchChromium, serveFiles } from '@tessera/browser'
import { describeMachine } from '../report/machine.ts'
import type { Report } from '../report/report.ts'
import { buildPage, type PageOptions } from './build.ts'

/** Times the cases in a page of headless Chromium, with threads. */
export async function runInChromium(
  options: PageOptions,
  progress: (line: string) => void,
  screenshot?: string,
): Promise<Report> {
  const machine = describeMachine()
  const server = await serveFiles(await buildPage(options))
  const browser = await launchChromium()
  try {
    const page = await browser.newPage({ viewport: { width: 1100, height: 900 } })
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') progress(message.text())
    })
    page.on('pageerror', (error) => progress(error.message))
    await page.goto(server.url)
    await page.waitForFunction(() => 'benchmark' in globalThis)
    const report = await page.evaluate(() => (globalThis as unknown as { benchmark: Promise<Report> }).benchmark)
    if (screenshot !== undefined) await page.screenshot({ path: screenshot, fullPage: true })
    const name = `Chromium ${browser.version()}`
    return { ...report, machine: { ...machine, browser: name } }
  } finally {
    await browser.close()
    await server.close()
  }
}

/** Serves the page for a browser of one's own. */
export async function servePage(options: PageOptions): Promise<string> {
  const { url } = await serveFiles(await buildPage(options), { port: 8080 })
  return url
}
