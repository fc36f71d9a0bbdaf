import { TesseraError } from '@tessera/core'

/** Refuses sizes that are not whole numbers from 1 up. */
export function checkExtents(module: string, extents: Readonly<Record<string, number>>): void {
  for (const [name, extent] of Object.entries(extents)) {
    if (!Number.isSafeInteger(extent) || extent < 1) {
      throw new TesseraError(
        'MODULE_CONFIGURATION',
        `${module}: ${name} must be a whole number from 1 up, got ${extent}.`,
      )
    }
  }
}
