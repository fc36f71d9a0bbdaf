/** Takes the place of `implementations/library.ts` in the page, where no files can be read. */
declare const packageVersions: Readonly<Record<string, string>>

/** Imports a library, or says why it cannot be imported. */
export async function tryImport<Library>(
  load: () => Promise<Library>,
): Promise<{ library: Library } | { reason: string }> {
  try {
    return { library: await load() }
  } catch (error) {
    return { reason: `cannot be loaded: ${String(error).split('\n')[0]}` }
  }
}

/** As it was when the page was built. */
export function packageVersion(specifier: string): string {
  return packageVersions[specifier] ?? 'unknown'
}
