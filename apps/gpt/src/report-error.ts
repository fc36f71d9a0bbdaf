import { TesseraError } from '@tessera/core'
import { DataError, TokenizerError } from '@tessera/models-gpt'
import { SafetensorsError } from '@tessera/nn'
import { UsageError } from './usage-error.ts'

const expected = [UsageError, TesseraError, SafetensorsError, TokenizerError, DataError]

/** One paragraph for the user; the place in the program only with TESSERA_DEBUG. */
export function describeError(error: unknown): string {
  if (process.env.TESSERA_DEBUG && error instanceof Error && error.stack) return error.stack
  const message = error instanceof Error ? error.message : String(error)
  const isSystemError = error instanceof Error && 'syscall' in error
  if (isSystemError || expected.some((kind) => error instanceof kind)) return message
  return `${message} (This was not expected and may be a defect of tessera-gpt. Run it again with TESSERA_DEBUG=1 to see where it happened.)`
}
