import { spawn } from 'node:child_process'

export interface RunOptions {
  readonly cwd: string
  readonly environment?: Readonly<Record<string, string>>
  /** In milliseconds. */
  readonly timeout?: number
}

/** The environment without the settings that npm hands to the scripts it runs. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|CI$)/i.test(name)))
}

/** Runs a program to its end and gives what it prints; fails with the end of that when the program does. */
export function run(command: string, args: readonly string[], options: RunOptions): Promise<string> {
  const { cwd, environment = {}, timeout = 240_000 } = options
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...cleanEnvironment(), ...environment },
      timeout,
      killSignal: 'SIGKILL',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let standard = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text
      standard += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(standard)
      else
        reject(
          new Error(`${command} ${args.join(' ')}: ${signal ?? `exit code ${code}`}\n${output.slice(-3000).trim()}`),
        )
    })
  })
}
