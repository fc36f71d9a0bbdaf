import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Method, Methods, Request, Response } from './protocol.ts'

/** How to start a child that speaks the protocol. */
export interface LaunchCommand {
  readonly command: string
  readonly arguments: readonly string[]
  /** Environment variables to set, or to unset where undefined. */
  readonly environment?: Readonly<Record<string, string | undefined>>
}

/** Raised when a child cannot be started, dies, stays silent or answers with an error. */
export class ChildError extends Error {
  override readonly name = 'ChildError'
  /** False when the process is gone and no further request can succeed. */
  readonly alive: boolean

  constructor(message: string, alive: boolean) {
    super(message)
    this.alive = alive
  }
}

interface Waiting {
  readonly id: number
  resolve(result: unknown): void
  reject(error: ChildError): void
}

const keptErrorCharacters = 2000

/** One child process and the line protocol with it; one request at a time. */
export class ChildConnection {
  readonly #label: string
  readonly #process: ChildProcess
  readonly #timeoutMs: number
  #nextId = 1
  #waiting: Waiting | undefined
  #errorOutput = ''
  #gone: string | undefined

  constructor(label: string, { command, arguments: arguments_, environment }: LaunchCommand, timeoutMs: number) {
    this.#label = label
    this.#timeoutMs = timeoutMs
    this.#process = spawn(command, arguments_, {
      stdio: ['pipe', 'pipe', 'pipe'],
      // spawn leaves out variables whose value is undefined.
      env: { ...process.env, ...environment },
    })
    this.#process.on('error', (error) => this.#end(`cannot be started: ${error.message}`))
    this.#process.on('close', (code, signal) => this.#end(`ended with ${signal ?? `exit code ${code}`}`))
    // A child that dies while a request is being written is reported by 'close'.
    this.#process.stdin!.on('error', () => undefined)
    this.#process.stderr!.on('data', (chunk: Buffer) => {
      this.#errorOutput = (this.#errorOutput + chunk.toString()).slice(-keptErrorCharacters)
    })
    createInterface({ input: this.#process.stdout! }).on('line', (line) => this.#receive(line))
  }

  /** Sends a request and waits for its answer. Throws {@link ChildError}. */
  request<Name extends Method>(name: Name, parameters: Methods[Name]['parameters']): Promise<Methods[Name]['result']> {
    if (this.#gone !== undefined) return Promise.reject(this.#error(this.#gone, false))
    if (this.#waiting) return Promise.reject(this.#error(`is still answering request ${this.#waiting.id}`, true))
    const request: Request<Name> = { id: this.#nextId++, method: name, parameters }
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#end(`gave no answer to "${name}" within ${this.#timeoutMs} ms`)
        this.#process.kill('SIGKILL')
      }, this.#timeoutMs)
      const settle = (): void => {
        clearTimeout(timer)
        this.#waiting = undefined
      }
      this.#waiting = {
        id: request.id,
        resolve: (result) => {
          settle()
          resolve(result as Methods[Name]['result'])
        },
        reject: (error) => {
          settle()
          reject(error)
        },
      }
      this.#process.stdin!.write(`${JSON.stringify(request)}\n`)
    })
  }

  /** Lets the child end by closing its input; kills it if it does not within a second. */
  async close(): Promise<void> {
    if (this.#gone !== undefined) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#process.kill('SIGKILL'), 1000)
      this.#process.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      this.#process.stdin!.end()
    })
  }

  #receive(line: string): void {
    const waiting = this.#waiting
    let response: Response
    try {
      response = JSON.parse(line) as Response
    } catch {
      waiting?.reject(this.#error(`wrote a line that is no JSON: ${line.slice(0, 200)}`, true))
      return
    }
    if (!waiting || response.id !== waiting.id) return
    if ('error' in response) waiting.reject(this.#error(`failed: ${response.error}`, true))
    else waiting.resolve(response.result)
  }

  #end(reason: string): void {
    if (this.#gone !== undefined) return
    this.#gone = reason
    this.#waiting?.reject(this.#error(reason, false))
  }

  #error(reason: string, alive: boolean): ChildError {
    const cause = alive ? undefined : causeOf(this.#errorOutput)
    return new ChildError(`${this.#label} ${reason}${cause === undefined ? '' : ` (${cause})`}`, alive)
  }
}

/** The line of a dead child's standard error that tells most: the last that names an error, else the last. */
function causeOf(output: string): string | undefined {
  const lines = output.split('\n').map((line) => line.trim())
  const filled = lines.filter((line) => line !== '')
  return filled.findLast((line) => /\b\w*Error\b.*:/.test(line)) ?? filled.at(-1)
}
