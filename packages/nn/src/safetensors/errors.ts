import { TesseraError } from '@tessera/core'

/** What went wrong with a safetensors file; stable across versions. */
export type SafetensorsErrorCode =
  | 'SAFETENSORS_TRUNCATED'
  | 'SAFETENSORS_HEADER_TOO_LARGE'
  | 'SAFETENSORS_HEADER_INVALID'
  | 'SAFETENSORS_NAME_INVALID'
  | 'SAFETENSORS_DTYPE_UNKNOWN'
  | 'SAFETENSORS_SHAPE_INVALID'
  | 'SAFETENSORS_OFFSETS_INVALID'
  | 'SAFETENSORS_SIZE_MISMATCH'
  | 'SAFETENSORS_READ_FAILED'
  | 'SAFETENSORS_WRITE_FAILED'

/** Raised for every safetensors file that cannot be read or written; `message` gives the values and the cure. */
export class SafetensorsError extends TesseraError {
  override readonly name = 'SafetensorsError'
  declare readonly code: SafetensorsErrorCode

  constructor(code: SafetensorsErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options)
  }
}

/** Shows a name or value from an untrusted file, quoted and cut to a length that fits a message. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
