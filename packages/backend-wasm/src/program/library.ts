import { TesseraError } from '@tessera/core'
import type { FunctionHandle } from '../assembler/index.ts'
import { ModuleBuilder } from '../assembler/index.ts'
import { maximumPages } from '../memory/layout.ts'
import type { Variant } from '../variant.ts'
import { defineBarrier } from './barrier.ts'
import type { WasmEnvironment, WasmFunction } from './contract.ts'

/** A compiled function: an export of a module. */
export interface LibraryFunction {
  readonly module: WebAssembly.Module
  readonly definition: WasmFunction
}

/** Imports the device's memory and, if it is shared, the check for lost threads that its barriers make. */
export function importDevice(module: ModuleBuilder, sharedMemory: boolean): FunctionHandle | undefined {
  if (!sharedMemory) {
    module.importMemory('device', 'memory', { minimum: 1 })
    return undefined
  }
  module.importMemory('device', 'memory', { minimum: 1, maximum: maximumPages, shared: true })
  return module.importFunction('device', 'check', {}, 'void') as unknown as FunctionHandle
}

/**
 * Helpers and barrier of the functions that are defined in one module.
 * @param check what `importDevice` gave
 */
export function createEnvironment(
  module: ModuleBuilder,
  variant: Variant,
  check: FunctionHandle | undefined,
): WasmEnvironment {
  const helpers = new Map<string, FunctionHandle>()
  const environment: WasmEnvironment = {
    variant,
    sharedMemory: check !== undefined,
    helper: (name, make) => {
      const known = helpers.get(name) as ReturnType<typeof make> | undefined
      if (known) return known
      const made = make()
      helpers.set(name, made as unknown as FunctionHandle)
      return made
    },
    barrier: () => check && environment.helper('barrier', () => defineBarrier(module, check)),
  }
  return environment
}

/**
 * The compiled functions of this process for one variant and kind of memory. Functions stay: a later program finds them compiled
 * and, after some runs, optimised by the engine.
 */
export class FunctionLibrary {
  readonly variant: Variant
  readonly sharedMemory: boolean
  readonly #functions = new Map<string, LibraryFunction>()

  constructor(variant: Variant, sharedMemory: boolean) {
    this.variant = variant
    this.sharedMemory = sharedMemory
  }

  /** Compiles those of the functions that are new, as one module. */
  require(functions: Iterable<WasmFunction>): void {
    const missing = new Map<string, WasmFunction>()
    for (const wanted of functions) if (!this.#functions.has(wanted.name)) missing.set(wanted.name, wanted)
    if (missing.size === 0) return
    const module = this.build(missing.values())
    const compiled = new WebAssembly.Module(module.toBytes())
    for (const definition of missing.values()) this.#functions.set(definition.name, { module: compiled, definition })
  }

  /** A module of these functions, each exported under its name. */
  build(functions: Iterable<WasmFunction>): ModuleBuilder {
    const module = new ModuleBuilder()
    const environment = createEnvironment(module, this.variant, importDevice(module, this.sharedMemory))
    for (const definition of functions) module.export(definition.define(module, environment), definition.name)
    return module
  }

  get(name: string): LibraryFunction {
    const found = this.#functions.get(name)
    if (!found) throw new TesseraError('INTERNAL', `wasm: function '${name}' was not compiled.`)
    return found
  }
}

const libraries = new Map<string, FunctionLibrary>()

/** The library of the process for a variant and kind of memory. */
export function functionLibrary(variant: Variant, sharedMemory: boolean): FunctionLibrary {
  const key = `${variant}/${sharedMemory}`
  let library = libraries.get(key)
  if (!library) {
    library = new FunctionLibrary(variant, sharedMemory)
    libraries.set(key, library)
  }
  return library
}
