import { printModule } from '../assembler/index.ts'
import type { FunctionLibrary } from '../program/library.ts'
import type { Linkage } from '../program/link.ts'

/** The functions that a program calls, then its own steps and entry points, as WebAssembly text. */
export function printProgram(library: FunctionLibrary, { module, functions }: Linkage): string {
  return `${printModule(library.build(functions))}\n${printModule(module)}`
}
