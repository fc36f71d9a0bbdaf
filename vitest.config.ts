import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

interface Manifest {
  name: string
  publishConfig?: { exports?: Record<string, { import: string }> }
}

const root = fileURLToPath(new URL('.', import.meta.url))

/** Every folder of the workspace that holds a package, with its manifest. */
const workspace = ['packages', 'apps', 'tooling'].flatMap((parent) =>
  readdirSync(`${root}/${parent}`)
    .map((folder) => `${root}/${parent}/${folder}`)
    .filter((folder) => existsSync(`${folder}/package.json`))
    .map((folder) => ({ folder, manifest: JSON.parse(readFileSync(`${folder}/package.json`, 'utf8')) as Manifest })),
)

/** With TESSERA_TARGET=dist, what one package imports from another is the built one, as published. */
const builtPackages = workspace.flatMap(({ folder, manifest }) =>
  Object.entries(manifest.publishConfig?.exports ?? {}).map(([subpath, { import: file }]) => ({
    find: new RegExp(`^${manifest.name}${subpath.slice(1)}$`),
    replacement: `${folder}/${file}`,
  })),
)

export default defineConfig({
  resolve: { alias: process.env.TESSERA_TARGET === 'dist' ? builtPackages : [] },
  test: {
    projects: workspace.map(({ folder, manifest }) => ({
      extends: true,
      root: folder,
      test: { name: manifest.name.replace('@tessera/', ''), include: ['src/**/*.test.ts'] },
    })),
  },
})
