/**
 * The base class of every error that Tessera raises on purpose. `message` says what failed, with the values, then the
 * cure; `code` is stable across versions, so programs can react to it.
 *
 * @example
 * ```ts sketch
 * try {
 *   await createRuntime({ use: [wasm(), wasm()] })
 * } catch (error) {
 *   if (error instanceof TesseraError && error.code === 'DUPLICATE_PLUGIN') console.error(error.message)
 * }
 * ```
 */
export class TesseraError extends Error {
  override readonly name: string = 'TesseraError'
  readonly code: string

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** An op was given operands that it cannot take: shapes, number formats or attributes. */
export class ShapeError extends TesseraError {
  override readonly name = 'ShapeError'

  constructor(message: string, options?: ErrorOptions) {
    super('SHAPE', message, options)
  }
}
