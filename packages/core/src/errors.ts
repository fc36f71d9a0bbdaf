import { startAtCaller } from './stack.ts'

export interface TesseraErrorOptions extends ErrorOptions {
  /** An error that was made where the mistake is: its place and its stack are reported. Without it, those of the constructor's caller. */
  readonly place?: Error | undefined
}

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
  readonly code: string
  /** The call that made the mistake, `file:line:column`, where the stack tells. */
  readonly at: string | undefined

  static {
    // On the prototype, so that the stack, which is written before fields are, begins with it.
    TesseraError.prototype.name = 'TesseraError'
  }

  constructor(code: string, message: string, options?: TesseraErrorOptions) {
    super(message, options)
    this.code = code
    this.at = startAtCaller(this, options?.place)
  }
}

/** An op was given operands that it cannot take: shapes, number formats or attributes. */
export class ShapeError extends TesseraError {
  static {
    ShapeError.prototype.name = 'ShapeError'
  }

  constructor(message: string, options?: ErrorOptions) {
    super('SHAPE', message, options)
  }
}
