import { build } from 'esbuild'

export interface BundleOptions {
  readonly minify?: boolean
  /** Modules that the page finds by itself. */
  readonly external?: readonly string[]
}

/** Bundles a module of the workspace and all that it imports into one, as a page loads it. */
export async function bundleModule(
  entry: string,
  { minify = false, external = [] }: BundleOptions = {},
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
    logLevel: 'silent',
  })
  return outputFiles[0]!.text
}
