import { TesseraError } from '@tessera/core'

/** Raised for every NumPy file that cannot be read or written. */
export class NumpyError extends TesseraError {
  override readonly name = 'NumpyError'

  constructor(why: string, options?: ErrorOptions) {
    super('NUMPY_FILE', `The NumPy file cannot be used: ${why}.`, options)
  }
}
