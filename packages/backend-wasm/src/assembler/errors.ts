import { TesseraError } from '@tessera/core'

/** A mistake in the code that builds a WebAssembly module. The message names the function and the instruction. */
export class AssemblerError extends TesseraError {
  override readonly name = 'AssemblerError'
  /** The mistake alone, without the name of the function. */
  readonly detail: string

  constructor(detail: string, functionName?: string) {
    super(
      'WASM_ASSEMBLER',
      `wasm assembler: ${functionName === undefined ? '' : `function ${functionName}: `}${detail}`,
    )
    this.detail = detail
  }
}

/** Runs `body` and adds the name of the function being built to any assembler error that does not carry one yet. */
export function inFunction<Result>(functionName: string, body: () => Result): Result {
  try {
    return body()
  } catch (error) {
    if (error instanceof AssemblerError && error.message === `wasm assembler: ${error.detail}`) {
      throw new AssemblerError(error.detail, functionName)
    }
    throw error
  }
}
