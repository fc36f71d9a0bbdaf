import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'

/** What a run of the program gave. */
export interface Finished {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const cli = fileURLToPath(new URL('./cli.ts', import.meta.url))

/** Runs `tessera-gpt` as a process of its own. `onOutput` sees all of standard error so far whenever more comes. */
export function runProgram(
  args: readonly string[],
  onOutput?: (stderr: string, child: ChildProcess) => void,
): Promise<Finished> {
  return runCommand(process.execPath, [cli, ...args], onOutput)
}

/** Runs `tessera-gpt` in a shell that lets no file grow beyond a number of blocks of 512 bytes. */
export function runWithFileLimit(blocks: number, args: readonly string[]): Promise<Finished> {
  return runCommand('sh', ['-c', `ulimit -f ${blocks}; exec "$@"`, 'sh', process.execPath, cli, ...args])
}

function runCommand(
  command: string,
  args: readonly string[],
  onOutput?: (stderr: string, child: ChildProcess) => void,
): Promise<Finished> {
  const { TESSERA_DEBUG: _, npm_lifecycle_event: __, ...env } = process.env
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (data) => {
    stdout += data
  })
  child.stderr.on('data', (data) => {
    stderr += data
    onOutput?.(stderr, child)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
}

/** A folder that goes when the tests of the file have ended. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tessera-gpt-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  return folder
}

const words = 'the cat sat on a mat and ran to see dog who ate his hat'.split(' ')

/** Text of about 3,500 characters, 16 of them distinct, in lines. */
export function exampleText(): string {
  const word = (place: number) => words[(place * place + 7 * (place >> 3)) % words.length]!
  return Array.from({ length: 120 }, (_, line) =>
    Array.from({ length: 8 }, (_, i) => word(8 * line + i)).join(' '),
  ).join('\n')
}

/** Options of a run that takes milliseconds a step. */
export const tiny = [
  '--backend',
  'reference',
  '--layers',
  '1',
  '--heads',
  '2',
  '--width',
  '16',
  '--block',
  '16',
  '--batch',
  '2',
  '--evaluation-batches',
  '2',
]

export function writeExample(folder: string, name = 'text.txt', contents: string | Uint8Array = exampleText()): string {
  const path = join(folder, name)
  writeFileSync(path, contents)
  return path
}
