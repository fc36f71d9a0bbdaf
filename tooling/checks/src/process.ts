import { execFile, spawnSync } from 'node:child_process'

/** What a finished program left behind. */
export interface Outcome {
  readonly ok: boolean
  readonly stdout: string
  /** Standard output, then standard error, then why it was killed if it was. */
  readonly output: string
}

/** Options of {@link runProgram}. */
export interface RunOptions {
  readonly cwd: string
  readonly environment?: NodeJS.ProcessEnv
  /** Limit in milliseconds; the program is killed afterwards. */
  readonly timeout?: number
}

/** In milliseconds. */
const defaultTimeout = 300_000

/** The most that a program may print, in bytes. */
const maxBuffer = 64 * 1024 * 1024

/** Runs a program to its end and collects what it prints. */
export function runProgram(command: string, args: readonly string[], options: RunOptions): Outcome {
  const { cwd, environment = process.env, timeout = defaultTimeout } = options
  const result = spawnSync(command, args, {
    cwd,
    env: environment,
    timeout,
    killSignal: 'SIGKILL',
    encoding: 'utf8',
    maxBuffer,
  })
  const reason = result.error ? `${result.error.message}` : result.signal ? `killed by ${result.signal}` : ''
  return {
    ok: result.status === 0,
    stdout: result.stdout ?? '',
    output: [result.stdout, result.stderr, reason].filter(Boolean).join('\n').trim(),
  }
}

/** Runs a program like {@link runProgram}, beside others. */
export function startProgram(command: string, args: readonly string[], options: RunOptions): Promise<Outcome> {
  const { cwd, environment = process.env, timeout = defaultTimeout } = options
  return new Promise((resolve) => {
    const settings = { cwd, env: environment, timeout, killSignal: 'SIGKILL', encoding: 'utf8', maxBuffer } as const
    execFile(command, args, settings, (error, stdout, stderr) => {
      const reason = error?.killed ? `killed after ${timeout} ms` : ''
      resolve({ ok: !error, stdout, output: [stdout, stderr, reason].filter(Boolean).join('\n').trim() })
    })
  })
}

/** The environment without the settings that npm hands to the scripts it runs. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)))
}
