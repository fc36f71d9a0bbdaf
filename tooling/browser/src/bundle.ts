import { resolve } from 'node:path'
import { build, type Plugin } from 'esbuild'

export interface BundleOptions {
  readonly minify?: boolean
  /** Modules that the page finds by itself. */
  readonly external?: readonly string[]
  /** Names to put text in the place of. */
  readonly define?: Readonly<Record<string, string>>
  /** Files to take instead of others, by absolute path. */
  readonly replace?: Readonly<Record<string, string>>
  /** What stands for a module. */
  readonly alias?: Readonly<Record<string, string>>
}

/** Bundles a module of the workspace and all that it imports into one, as a page loads it. */
export async function bundleModule(
  entry: string,
  { minify = false, external = [], define = {}, replace = {}, alias = {} }: BundleOptions = {},
): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify,
    external: [...external],
    define: { ...define },
    plugins: [replaceFiles(replace)],
    alias: { ...alias },
    logLevel: 'silent',
  })
  return outputFiles[0]!.text
}

function replaceFiles(files: Readonly<Record<string, string>>): Plugin {
  return {
    name: 'replace-files',
    setup({ onResolve }) {
      onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
        const replacement = files[resolve(resolveDir, path)]
        return replacement === undefined ? undefined : { path: replacement }
      })
    },
  }
}
