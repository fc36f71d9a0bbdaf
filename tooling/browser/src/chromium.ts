import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const usual = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Where Chromium is: what the variable `CHROMIUM` says, or a usual place; `undefined` where there is none. */
export function chromiumPath(): string | undefined {
  return [process.env.CHROMIUM, ...usual].find((path) => path !== undefined && existsSync(path))
}

/**
 * Starts Chromium without a window.
 * @param flags further ones, such as `--enable-unsafe-webgpu`
 */
export async function launchChromium(flags: readonly string[] = []): Promise<Browser> {
  const executablePath = chromiumPath()
  if (!executablePath) throw new Error('Chromium is not installed. Install it, or say where it is: CHROMIUM=PATH.')
  // Continuous integration runs as root, where Chromium's sandbox does not work.
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-background-networking', ...flags] })
}
