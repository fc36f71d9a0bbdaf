import { readFileSync } from 'node:fs'

/** Imports a library, or says why it cannot be imported. */
export async function tryImport<Library>(
  load: () => Promise<Library>,
): Promise<{ library: Library } | { reason: string }> {
  try {
    return { library: await load() }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { reason: `cannot be loaded: ${message.split('\n')[0]}` }
  }
}

/** Version in the package.json that belongs to the resolved module `specifier`, also where its exports hide that file. */
export function packageVersion(specifier: string): string {
  let folder = new URL('./', import.meta.resolve(specifier))
  for (;;) {
    const description = readPackage(new URL('package.json', folder))
    if (description?.name === specifier) return description.version
    const parent = new URL('../', folder)
    if (parent.href === folder.href) throw new Error(`no package.json of "${specifier}" above its module`)
    folder = parent
  }
}

function readPackage(url: URL): { name: string; version: string } | undefined {
  try {
    return JSON.parse(readFileSync(url, 'utf8')) as { name: string; version: string }
  } catch {
    return undefined
  }
}
