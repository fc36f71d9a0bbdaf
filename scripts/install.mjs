/**
 * Installs the workspace when it is not installed yet, or when the lockfile has changed since.
 * Plain JavaScript without dependencies: it runs under any Node from version 20, before anything is installed.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const pinned = { node: manifest.devDependencies.node, pnpm: manifest.devDependencies.pnpm }

/** Ends the program with a message that says what failed and what to do. */
export function fail(message) {
  console.error(`tessera: ${message}`)
  process.exit(1)
}

/** The pinned Node, which runs TypeScript from source. */
export const nodeBinary = join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node')

const stampFile = join(root, 'node_modules/.tessera-install')

function lockfileHash() {
  const lockfile = join(root, 'pnpm-lock.yaml')
  if (!existsSync(lockfile))
    fail('pnpm-lock.yaml is missing, so nothing can be installed. Restore it: git checkout pnpm-lock.yaml')
  return createHash('sha256').update(readFileSync(lockfile)).digest('hex')
}

function nodeVersion() {
  if (!existsSync(nodeBinary)) return undefined
  const result = spawnSync(nodeBinary, ['--version'], { encoding: 'utf8' })
  return result.status === 0 ? result.stdout.trim().replace(/^v/, '') : undefined
}

/** The environment without npm's settings, about each of which pnpm would warn, and without a wish for production only. */
function cleanEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_ENV$)/i.test(name)))
}

function install() {
  console.error(`tessera: installing dependencies with pnpm ${pinned.pnpm} (only when the lockfile changes)`)
  const command = `npx --yes --prefer-offline pnpm@${pinned.pnpm} install --frozen-lockfile --prefer-offline --reporter=append-only`
  // Progress goes to standard error, so that the output of the command that follows stays its own.
  const result = spawnSync(command, { cwd: root, shell: true, stdio: ['ignore', 2, 2], env: cleanEnvironment() })
  if (result.error) fail(`could not start npx (${result.error.message}). Install Node with npm: https://nodejs.org`)
  if (result.status === 0) return
  fail(
    `the installation failed (${result.signal ?? `exit code ${result.status}`}); the lines above say why. ` +
      `It needs the npm registry once; behind a proxy set HTTPS_PROXY. Try by hand: ${command}`,
  )
}

/**
 * Makes `node` on the path of npm scripts the binary itself. pnpm puts a shell script there, which keeps signals from the
 * program behind it.
 */
function linkNode() {
  if (process.platform === 'win32') return
  const link = join(root, 'node_modules/.bin/node')
  const target = '../node/bin/node'
  const stats = lstatSync(link, { throwIfNoEntry: false })
  if (stats?.isSymbolicLink() && readlinkSync(link) === target) return
  rmSync(link, { force: true })
  symlinkSync(target, link)
}

/** Makes sure that the dependencies match the lockfile and that the pinned Node works. */
export function ensureInstalled() {
  const major = Number(process.versions.node.split('.')[0])
  if (major < 20) fail(`Node ${process.versions.node} is too old: install Node 20 or newer from https://nodejs.org`)

  const wanted = lockfileHash()
  const installed = existsSync(stampFile) ? readFileSync(stampFile, 'utf8').trim() : undefined
  if (installed === wanted && existsSync(nodeBinary)) return linkNode()

  // pnpm keeps a copy of the lockfile it installed last, so a direct `pnpm install` counts as well.
  const pnpmCopy = join(root, 'node_modules/.pnpm/lock.yaml')
  const sameCopy = existsSync(pnpmCopy) && createHash('sha256').update(readFileSync(pnpmCopy)).digest('hex') === wanted
  if (!sameCopy || !existsSync(nodeBinary)) install()

  const version = nodeVersion()
  if (version !== pinned.node) {
    fail(
      `node_modules holds Node ${version ?? 'that does not start, or none'}, but this workspace needs ${pinned.node}. ` +
        'Its package fetches the binary in an install script: allow install scripts (npm config get ignore-scripts), ' +
        'delete node_modules and run the command again.',
    )
  }
  linkNode()
  writeFileSync(stampFile, `${wanted}\n`)
}
