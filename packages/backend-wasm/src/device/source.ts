import type { FunctionLibrary } from '../program/library.ts'
import type { Linkage } from '../program/link.ts'

/** The functions that a program uses and its own entry points as text. */
export function printProgram(library: FunctionLibrary, { module, functions }: Linkage): string {
  return `${library.build(functions).functionName(0)}${module.functionName(0)}`
}
