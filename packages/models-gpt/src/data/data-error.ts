import { TesseraError } from '@tessera/core'

/** What is wrong with a text or a data set; stable across versions. */
export type DataErrorCode =
  | 'TEXT_NOT_FOUND'
  | 'TEXT_NOT_A_FILE'
  | 'TEXT_READ_FAILED'
  | 'TEXT_TOO_LARGE'
  | 'TEXT_EMPTY'
  | 'TEXT_BINARY'
  | 'TEXT_PACKAGE_MISSING'
  | 'DATASET_TOO_SHORT'
  | 'DATASET_INVALID_OPTION'

/** Raised for training data that cannot be used; `message` says what was found and what to do. */
export class DataError extends TesseraError {
  override readonly name = 'DataError'
  declare readonly code: DataErrorCode

  constructor(code: DataErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options)
  }
}
