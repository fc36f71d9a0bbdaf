import { defineConfig } from 'tsup'

/**
 * The build of every published package: ES modules with declarations and source maps, one file per entry.
 * Entries are named as the `dist` paths of `publishConfig.exports` expect them, for example `{ index: 'src/index.ts' }`.
 */
export function tesseraPackage(entry: Record<string, string>): ReturnType<typeof defineConfig> {
  return defineConfig({
    entry,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    // Bundlers tell Node's modules from packages of the same name by the prefix.
    removeNodeProtocol: false,
    external: [/^node:/],
    dts: true,
    sourcemap: true,
    clean: true,
    splitting: true,
    treeshake: false,
  })
}
