import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

/** Bytes of a program after bundling, minification and gzip. */
async function bundledBytes(
  { source, external = [] }: SizeBudget,
  folder: string,
): Promise<{ plain: number; gzip: number }> {
  const entry = join(folder, 'entry.js')
  writeFileSync(entry, source)
  const alias = Object.fromEntries(Object.entries(builtPackages()).filter(([name]) => !external.includes(name)))
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    alias,
    external: [...external, 'node:*'],
    logLevel: 'silent',
  })
  const { contents } = outputFiles[0]!
  return { plain: contents.byteLength, gzip: gzipSync(contents, { level: 9 }).byteLength }
}

const kilobytes = (bytes: number): string => (bytes / 1000).toFixed(1)

/** Weighs what users' bundles get of the packages, and prints it beside the budgets. The packages must be built. */
export async function checkSizes(): Promise<Findings> {
  const errors: string[] = []
  const rows: string[] = []
  const folder = mkdtempSync(join(tmpdir(), 'tessera-sizes-'))
  try {
    for (const budget of sizeBudgets) {
      const { plain, gzip } = await bundledBytes(budget, folder)
      rows.push(`${budget.name}: ${kilobytes(gzip)} of ${budget.kilobytes} kB`)
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
