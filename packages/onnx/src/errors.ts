import { TesseraError } from '@tessera/core'

/** What went wrong with a model; stable across versions. */
export type OnnxErrorCode =
  /** The bytes are no ONNX file, or a damaged one. */
  | 'ONNX_FILE'
  /** The graph needs what is not supported. */
  | 'ONNX_UNSUPPORTED'
  /** Inputs do not fit the graph. */
  | 'ONNX_INPUT'

/** Raised for every model that cannot be read or run; `message` gives the values and the cure. */
export class OnnxError extends TesseraError {
  override readonly name = 'OnnxError'
  declare readonly code: OnnxErrorCode

  constructor(code: OnnxErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options)
  }
}
