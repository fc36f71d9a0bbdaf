import { writeFile } from 'node:fs/promises'
import { UsageError } from './usage-error.ts'

/** Writes figures to a file, if one is wanted. Numbers that are not finite become null. */
export async function writeJson(file: string | undefined, figures: object): Promise<void> {
  if (file === undefined) return
  await writeFile(file, `${JSON.stringify(figures, undefined, 2)}\n`).catch((cause) => {
    throw new UsageError(
      `${file} could not be written: ${(cause as Error).message}. Choose another file with --json.`,
      { cause },
    )
  })
}
