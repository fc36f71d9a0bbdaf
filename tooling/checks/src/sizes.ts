import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import type { Findings } from './report.ts'
import { type SizeBudget, sizeBudgets } from './size-budgets.ts'
import { listPublicPackages, root } from './workspace.ts'

/** Sends imports of the packages to their built files, as users get them. */
function builtPackages(): Record<string, string> {
  return Object.fromEntries(
    listPublicPackages().flatMap(({ folder, manifest }) =>
      Object.entries(manifest.publishConfig?.exports ?? {}).map(([subpath, entry]) => [
        manifest.name + subpath.slice(1),
        join(root, folder, entry.import),
      ]),
    ),
  )
}

/** What a page loads at the start, and what it may load later. */
interface Weight {
  readonly plain: number
  readonly gzip: number
  readonly laterGzip: number
}

/** Bytes of a program after bundling, minification and gzip. Modules that are imported dynamically are files of their own. */
async function bundledBytes({ source, external = [] }: SizeBudget, folder: string): Promise<Weight> {
  const entry = join(folder, 'entry.js')
  writeFileSync(entry, source)
  const isOutside = (name: string) => external.some((other) => name === other || name.startsWith(`${other}/`))
  const alias = Object.fromEntries(Object.entries(builtPackages()).filter(([name]) => !isOutside(name)))
  const { outputFiles, metafile } = await build({
    entryPoints: [entry],
    bundle: true,
    splitting: true,
    minify: true,
    write: false,
    metafile: true,
    outdir: folder,
    absWorkingDir: folder,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    alias,
    external: [...external, 'node:*'],
    logLevel: 'silent',
  })
  const started = new Set<string>()
  const load = (name: string): void => {
    if (started.has(name)) return
    started.add(name)
    for (const { path, kind } of metafile.outputs[name]?.imports ?? []) if (kind === 'import-statement') load(path)
  }
  for (const [name, { entryPoint }] of Object.entries(metafile.outputs)) if (entryPoint === 'entry.js') load(name)
  const weight = { plain: 0, gzip: 0, laterGzip: 0 }
  for (const { path, contents } of outputFiles) {
    const gzip = gzipSync(contents, { level: 9 }).byteLength
    if (!started.has(relative(folder, path))) weight.laterGzip += gzip
    else {
      weight.plain += contents.byteLength
      weight.gzip += gzip
    }
  }
  return weight
}

const kilobytes = (bytes: number): string => (bytes / 1000).toFixed(1)

/** Weighs what users' bundles get of the packages, and prints it beside the budgets. The packages must be built. */
export async function checkSizes(): Promise<Findings> {
  const errors: string[] = []
  const rows: string[] = []
  const folder = mkdtempSync(join(tmpdir(), 'tessera-sizes-'))
  try {
    for (const budget of sizeBudgets) {
      const { plain, gzip, laterGzip } = await bundledBytes(budget, folder)
      const later = laterGzip > 0 ? ` (and ${kilobytes(laterGzip)} when asked for)` : ''
      rows.push(`${budget.name}: ${kilobytes(gzip)} of ${budget.kilobytes} kB${later}`)
      if (gzip <= budget.kilobytes * 1000) continue
      errors.push(
        `${budget.name}: ${kilobytes(gzip)} kB with gzip (${kilobytes(plain)} kB minified), the budget is ${budget.kilobytes} kB. ` +
          'Make it smaller, or raise the budget in size-budgets.ts and say why.',
      )
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return { errors, summary: rows.join('; ') }
}
