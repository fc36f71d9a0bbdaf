import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from './process.ts'
import { type LocalRegistry, npmrc } from './registry.ts'

/** Versions of the published packages, by name. */
export type Versions = Readonly<Record<string, string>>

/** A clone in which releases are made, so that the checkout stays as it is. */
export class ReleaseFolder {
  readonly folder: string
  readonly #registry: LocalRegistry

  private constructor(folder: string, registry: LocalRegistry) {
    this.folder = folder
    this.#registry = registry
  }

  static async create(root: string, folder: string, registry: LocalRegistry): Promise<ReleaseFolder> {
    await run('git', ['clone', '--quiet', '--depth', '1', `file://${root}`, folder], { cwd: root })
    const release = new ReleaseFolder(folder, registry)
    await release.#script('node', '--version')
    return release
  }

  /** Versions and changelogs from the pending changesets, a build, and everything that is new to the registry published. */
  async publish(): Promise<Versions> {
    await this.#script('changeset', 'version')
    await this.#script('turbo', 'run', 'build')
    writeFileSync(join(this.folder, '.npmrc'), npmrc(this.#registry))
    await this.#script(
      'pnpm',
      '-r',
      'publish',
      '--no-git-checks',
      '--access',
      'public',
      '--registry',
      this.#registry.url,
    )
    return this.versions()
  }

  versions(): Versions {
    const manifests = globSync('packages/*/package.json', { cwd: this.folder }).map(
      (file) => JSON.parse(readFileSync(join(this.folder, file), 'utf8')) as { name: string; version: string },
    )
    return Object.fromEntries(manifests.map(({ name, version }) => [name, version]))
  }

  addChangeset(name: string, bump: 'patch' | 'minor', text: string): void {
    writeFileSync(join(this.folder, '.changeset/rehearsal.md'), `---\n'${name}': ${bump}\n---\n\n${text}\n`)
  }

  changelog(name: string): string {
    return readFileSync(join(this.folder, name.replace('@tessera/', 'packages/'), 'CHANGELOG.md'), 'utf8')
  }

  #script(tool: string, ...args: string[]): Promise<string> {
    return run('node', ['scripts/run.mjs', tool, ...args], { cwd: this.folder, timeout: 600_000 })
  }
}
