/** A parser of untrusted files. */
export interface FuzzTarget {
  readonly name: string
  /** Valid files, small ones of every kind. */
  seeds(): readonly Uint8Array[] | Promise<readonly Uint8Array[]>
  /** Words of the format. */
  readonly dictionary?: readonly string[]
  /** Reads a file: gives anything, or throws a `TesseraError`. */
  parse(bytes: Uint8Array): unknown
}

/** A parser of untrusted text: it gets what a lenient decoder makes of the bytes. */
export function textTarget(
  name: string,
  seeds: () => readonly string[],
  parse: (text: string) => unknown,
  dictionary: readonly string[] = [],
): FuzzTarget {
  const decoder = new TextDecoder()
  return {
    name,
    seeds: () => seeds().map((text) => new TextEncoder().encode(text)),
    parse: (bytes) => parse(decoder.decode(bytes)),
    dictionary,
  }
}
