/**
 * Runs a tool of the workspace under the pinned Node, installing first when needed:
 *
 *   node scripts/run.mjs node FILE ARGS     a program, TypeScript from source
 *   node scripts/run.mjs vitest run ARGS    the binary of any dev dependency of the root package
 */
import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { ensureInstalled, fail, nodeBinary, root } from './install.mjs'

/** A signal that npm and the terminal both deliver arrives twice within this time, in milliseconds. */
const duplicateSignalWindow = 500

/** How often to look whether the parent process is still there, in milliseconds. */
const parentCheckInterval = 1000

/** Finds the script behind the name of a binary among the dev dependencies of the root package. */
function findTool(name) {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  for (const dependency of Object.keys(manifest.devDependencies)) {
    const folder = join(root, 'node_modules', dependency)
    const file = join(folder, 'package.json')
    if (!existsSync(file)) continue
    const { bin } = JSON.parse(readFileSync(file, 'utf8'))
    const target = typeof bin === 'string' && dependency.split('/').pop() === name ? bin : bin?.[name]
    if (target) return join(folder, target)
  }
  return fail(`no dev dependency of the root package has a binary named ${name}`)
}

/**
 * Hands signals on so that the child receives each exactly once. At a terminal, Ctrl-C already goes to every process of
 * the foreground group, the child included. Without one, the child gets a process group of its own and only what is
 * forwarded here reaches it. Returns when each signal came last, by name.
 */
function forwardSignals(child, atTerminal) {
  const last = new Map()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      const now = Date.now()
      const duplicate = now - (last.get(signal) ?? Number.NEGATIVE_INFINITY) < duplicateSignalWindow
      last.set(signal, now)
      if (!duplicate && !(atTerminal && signal !== 'SIGTERM')) child.kill(signal)
    })
  }
  return last
}

/** When npm or its shell was killed without a word to this process, ask the child to end, so that it can save. */
function endWithParent(child, forwarded) {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    if (forwarded.size === 0) child.kill('SIGTERM')
  }, parentCheckInterval)
}

function run(tool, args) {
  if (!tool) fail('usage: node scripts/run.mjs TOOL ARGS')
  if (tool === 'node' && args[0] && !args[0].startsWith('-') && !existsSync(join(root, args[0]))) {
    fail(`${args[0]} does not exist in this checkout`)
  }
  const command = tool === 'node' ? args : [findTool(tool), ...args]
  const atTerminal = [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY)
  const path = [dirname(nodeBinary), join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter)
  const child = spawn(nodeBinary, command, {
    stdio: 'inherit',
    env: { ...process.env, PATH: path, TURBO_TELEMETRY_DISABLED: '1' },
    detached: !atTerminal && process.platform !== 'win32',
  })
  child.on('error', (error) => fail(`could not start ${nodeBinary}: ${error.message}`))
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
  const forwarded = forwardSignals(child, atTerminal)
  endWithParent(child, forwarded)
}

ensureInstalled()
run(process.argv[2], process.argv.slice(3))
