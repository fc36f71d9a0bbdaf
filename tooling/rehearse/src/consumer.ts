import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pages } from './pages.ts'
import { run } from './process.ts'
import { type LocalRegistry, npmrc } from './registry.ts'

const programs = join(import.meta.dirname, '../programs')

/** A project that someone makes from nothing and installs the published packages into. */
export interface Consumer {
  readonly name: string
  /** Builds and runs it, and says in a line what was seen. */
  check(context: ConsumerContext): Promise<string>
}

export class ConsumerContext {
  readonly folder: string
  readonly pages: Pages
  readonly #registry: LocalRegistry

  constructor(folder: string, registry: LocalRegistry, pages: Pages) {
    this.folder = folder
    this.pages = pages
    this.#registry = registry
    mkdirSync(folder, { recursive: true })
  }

  /**
   * Writes the project.
   *
   * @param copied programs to copy from `programs/`
   * @param written further files by name, with their text
   */
  write(copied: readonly string[], written: Readonly<Record<string, string>> = {}): void {
    this.#text('package.json', JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
    this.#text('.npmrc', npmrc(this.#registry))
    for (const file of copied) cpSync(join(programs, file), join(this.folder, file))
    for (const [file, text] of Object.entries(written)) this.#text(file, text)
  }

  #text(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text)
  }

  async install(...packages: string[]): Promise<void> {
    await this.run('npm', 'install', '--no-save', '--prefer-offline', ...packages)
  }

  /** Packages that lie in `node_modules`, those of the project's own scope. */
  installed(): string[] {
    return readdirSync(join(this.folder, 'node_modules/@tessera')).sort()
  }

  run(command: string, ...args: string[]): Promise<string> {
    return run(command, args, { cwd: this.folder })
  }

  /** The script behind a binary that was installed. */
  binary(name: string): string {
    return join(this.folder, 'node_modules/.bin', name)
  }
}

/** What a program says of the device that it ran on. */
export interface Ran {
  readonly backend: string
  readonly variant: string
  readonly threads: number
}

/** Reads the report of a program and checks the device. */
export function expectDevice(ran: Ran, backend: string, threads?: number): string {
  if (ran.backend !== backend) throw new Error(`ran on ${ran.backend}, not on ${backend}`)
  if (threads !== undefined && ran.threads !== threads)
    throw new Error(`ran on ${ran.threads} threads, not on ${threads}`)
  return `${ran.backend} ${ran.variant}, ${ran.threads} thread${ran.threads === 1 ? '' : 's'}`
}
