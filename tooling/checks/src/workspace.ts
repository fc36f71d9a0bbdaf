import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The part of a `package.json` that the checks read. */
export interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly license?: string
  readonly exports?: Readonly<Record<string, string>>
  readonly publishConfig?: {
    readonly exports?: Readonly<Record<string, { readonly types: string; readonly import: string }>>
  }
  readonly scripts?: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
}

/** One package of the workspace. */
export interface WorkspacePackage {
  /** Path from the root of the repository, for example `packages/core`. */
  readonly folder: string
  readonly manifest: Manifest
}

/** The root of the repository, without a slash at the end. */
export const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))))

export function readManifest(file: string): Manifest {
  return JSON.parse(readFileSync(file, 'utf8')) as Manifest
}

/** Every package of the workspace, in order of its folder. */
export function listPackages(): WorkspacePackage[] {
  return ['packages', 'apps', 'tooling'].flatMap((parent) =>
    readdirSync(join(root, parent))
      .sort()
      .map((name) => `${parent}/${name}`)
      .filter((folder) => existsSync(join(root, folder, 'package.json')))
      .map((folder) => ({ folder, manifest: readManifest(join(root, folder, 'package.json')) })),
  )
}

/** The packages that are published. */
export function listPublicPackages(): WorkspacePackage[] {
  return listPackages().filter(({ manifest }) => !manifest.private)
}

/** The TypeScript files under `src` of a package, as paths from the root of the repository. */
export function listSources({ folder }: WorkspacePackage): string[] {
  return globSync('src/**/*.ts', { cwd: join(root, folder) })
    .map((file) => `${folder}/${file.replaceAll('\\', '/')}`)
    .sort()
}

export function isTest(file: string): boolean {
  return file.endsWith('.test.ts')
}
