import { i32 } from '../assembler/index.ts'
import type { WasmArgument, WasmFunction } from '../program/contract.ts'
import type { LoweredBody } from './body.ts'
import { commonParameters, FusedCode, type FusedParameters } from './code.ts'
import type { Bases } from './loops.ts'
import type { Words } from './words.ts'

/** Functions of this process by what their code depends on. */
const functions = new Map<string, WasmFunction>()

/**
 * The function for bodies of one structure. `emit` is called when the function is first compiled; its code may depend on nothing but
 * what `structure` tells, and reads all else from the call's data.
 */
export function generatedFunction(
  structure: string,
  body: LoweredBody,
  words: Words,
  emit: (code: FusedCode, bases: Bases) => void,
): WasmFunction {
  const known = functions.get(structure)
  if (known) return known
  const parameters = { ...commonParameters } as Record<string, 'i32'>
  body.accesses.forEach((access, position) => {
    if (access.argument) parameters[`operand${position}`] = 'i32'
  })
  const made: WasmFunction<FusedParameters> = {
    name: `fused.${body.kind}${functions.size}`,
    parameters: parameters as FusedParameters,
    define(module, environment) {
      return module.function(made.name, made.parameters, 'void', (fn) => {
        const code = new FusedCode(fn, body, words, module, environment)
        const bases = body.accesses.map((access, position) =>
          access.argument
            ? code.operand(position)
            : fn.local('i32', 'counter', i32.load(fn.parameters.descriptor, words.offsetOf(`first${position}`))),
        )
        emit(code, bases)
      })
    },
  }
  functions.set(structure, made as unknown as WasmFunction)
  return made as unknown as WasmFunction
}

/** The arguments of a generated function whose words stand at `byteOffset` of the call's data. */
export function generatedArguments(body: LoweredBody, byteOffset: number): WasmArgument[] {
  return [
    { kind: 'data', byteOffset },
    { kind: 'sharedScratch' },
    { kind: 'threadScratch' },
    { kind: 'thread' },
    { kind: 'threads' },
    { kind: 'unit' },
    ...body.accesses.flatMap(({ argument }) => (argument ? [argument] : [])),
  ]
}
