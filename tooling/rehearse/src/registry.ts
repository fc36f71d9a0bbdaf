import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { run } from './process.ts'

/** A registry on loopback that keeps what is published to it and fetches everything else from the real one. */
export interface LocalRegistry {
  readonly url: string
  close(): void
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answers(url: string, child: ChildProcess): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    if (child.exitCode !== null) break
    const response = await fetch(`${url}/-/ping`).catch(() => undefined)
    if (response?.ok) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`the registry at ${url} did not start${child.exitCode === null ? ' within a minute' : ''}.`)
}

export async function startRegistry(folder: string): Promise<LocalRegistry> {
  mkdirSync(folder, { recursive: true })
  const upstream = (await run('npm', ['config', 'get', 'registry'], { cwd: folder })).trim()
  const port = await freePort()
  // Own packages never come from upstream: what is tested is what was built here.
  const configuration = {
    storage: join(folder, 'storage'),
    uplinks: { upstream: { url: upstream, timeout: '60s', maxage: '60m' } },
    packages: {
      '@tessera/*': { access: '$all', publish: '$all', unpublish: '$all' },
      '**': { access: '$all', proxy: 'upstream' },
    },
    log: { type: 'file', path: join(folder, 'registry.log'), level: 'warn' },
    max_body_size: '100mb',
  }
  const file = join(folder, 'config.yaml')
  writeFileSync(file, JSON.stringify(configuration))
  const require = createRequire(import.meta.url)
  const binary = join(dirname(require.resolve('verdaccio/package.json')), 'bin/verdaccio')
  const url = `http://127.0.0.1:${port}`
  const child = spawn(process.execPath, [binary, '--config', file, '--listen', url], { cwd: folder, stdio: 'ignore' })
  await answers(url, child)
  return { url, close: () => child.kill() }
}

/** An `.npmrc` for a project that installs from the registry, or publishes to it. Anyone may; npm wants a token all the same. */
export function npmrc(registry: LocalRegistry): string {
  const host = registry.url.replace('http:', '')
  return [
    `registry=${registry.url}`,
    `${host}/:_authToken=rehearsal`,
    'audit=false',
    'fund=false',
    'provenance=false',
    'update-notifier=false',
  ].join('\n')
}
