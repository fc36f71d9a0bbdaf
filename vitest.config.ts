import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { defineConfig } from 'vitest/config'
import { listPackages, root, type WorkspacePackage } from './tooling/checks/src/workspace.ts'

const packages = listPackages()

/** Sends what one package imports from another to the built file, as a user of the published packages gets it. */
const builtPackages = packages.flatMap(({ folder, manifest }) =>
  Object.entries(manifest.publishConfig?.exports ?? {}).map(([subpath, entry]) => ({
    find: new RegExp(`^${manifest.name}${subpath.slice(1)}$`),
    replacement: join(root, folder, entry.import),
  })),
)

function requireBuiltPackages(): void {
  const missing = builtPackages.find(({ replacement }) => !existsSync(replacement))
  if (missing) throw new Error(`The packages are not built: ${missing.replacement} is missing. Run: npm run build`)
}

/** Whether users get the package together with others. Programs start processes of their own, which know no aliases. */
function isBuiltOnOthers({ manifest }: WorkspacePackage): boolean {
  const names = Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
  return !manifest.private && names.some((name) => packages.some((target) => target.manifest.name === name))
}

/**
 * What `--mode quick` leaves out: the suites that run every kernel and op through every variant and format, and tests that train, start processes
 * or browsers. What they test is tested on fewer inputs elsewhere.
 */
const suites = [
  '**/conformance*.test.ts',
  '**/operations*.test.ts',
  '**/operations/test-op.test.ts',
  '**/kernels/**/*.test.ts',
  '**/kernels.test.ts',
  '**/op.test.ts',
  '**/graphics-card.test.ts',
  '**/random.test.ts',
  '**/test-backend.test.ts',
  '**/broken-*.test.ts',
  '**/distributions.test.ts',
]
const processes = [
  '**/threads*.test.ts',
  '**/threads/{pool,lifetime}.test.ts',
  '**/train*.test.ts',
  '**/{cli,bad-input}.test.ts',
]
/** They train networks, measure in processes of their own, or start browsers. */
const slowProjects: readonly string[] = ['apps/examples', 'apps/bench', 'tooling/browser']

/** `--mode dist` leaves out suites that say nothing of built packages which they have not said of their sources; `--mode release` runs them too. */
const excluded: Readonly<Record<string, readonly string[]>> = { quick: [...suites, ...processes], dist: suites }

/** The modes `dist` and `release` run the tests of published packages that use others against the built ones; every other mode uses sources. */
export default defineConfig(({ mode }) => {
  const isBuilt = mode === 'dist' || mode === 'release'
  if (isBuilt) requireBuiltPackages()
  return {
    resolve: { alias: isBuilt ? builtPackages : [] },
    test: {
      // Tests that train or compile a lot share two cores with others.
      testTimeout: 60_000,
      // Vitest leaves a core free, of two as well.
      ...(mode === 'quick' && { maxWorkers: '100%' }),
      projects: packages
        .filter((target) => !isBuilt || isBuiltOnOthers(target))
        .filter(({ folder }) => mode !== 'quick' || !slowProjects.includes(folder))
        .map(({ folder, manifest }) => ({
          extends: true as const,
          root: join(root, folder),
          test: {
            name: manifest.name.replace('@tessera/', ''),
            include: ['src/**/*.test.ts'],
            exclude: [...(excluded[mode] ?? [])],
          },
        })),
    },
  }
})
