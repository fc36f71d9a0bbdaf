import { ByteWriter } from './bytes.ts'
import type { FunctionCode } from './encode.ts'
import { encodeFunction } from './encode.ts'
import { AssemblerError, inFunction } from './errors.ts'
import { FunctionBuilder } from './function.ts'
import type { Parameters, ResultType, ValueType } from './types.ts'
import { valueTypeCode } from './types.ts'
import type { FunctionHandle, Local, Signature } from './variables.ts'
import { Global } from './variables.ts'

/** Limits of an imported memory, in pages of 64 KiB. A shared memory needs a maximum. */
export interface MemoryLimits {
  readonly minimum: number
  readonly maximum?: number
  readonly shared?: boolean
}

/** The locals that hold a function's parameters. */
export type ParameterLocals<P extends Parameters> = { readonly [Name in keyof P]: Local<P[Name]> }

interface DefinedFunction {
  readonly handle: FunctionHandle
  code: FunctionCode | undefined
}

interface GlobalEntry {
  readonly type: ValueType
  readonly mutable: boolean
  readonly initial: number | bigint
}

/**
 * Builds one WebAssembly module.
 *
 * @example
 * const module = new ModuleBuilder()
 * module.importMemory('env', 'memory', { minimum: 1 })
 * const sum = module.function('sum', { a: 'i32', b: 'i32' }, 'i32', (fn, { a, b }) => {
 *   fn.return(i32.add(a, b))
 * })
 * module.export(sum)
 * const bytes = module.toBytes()
 */
export class ModuleBuilder {
  readonly #types: { readonly key: string; readonly parameters: readonly ValueType[]; readonly result: ResultType }[] =
    []
  readonly #importedFunctions: { readonly module: string; readonly field: string; readonly handle: FunctionHandle }[] =
    []
  readonly #functions: DefinedFunction[] = []
  readonly #exports: { readonly name: string; readonly kind: number; readonly index: number }[] = []
  readonly #globals: GlobalEntry[] = []
  #memory: { module: string; field: string; limits: MemoryLimits } | undefined
  #importedTable: { module: string; field: string; minimum: number } | undefined
  #table: readonly FunctionHandle[] | undefined

  /** Imports the module's one memory. */
  importMemory(module: string, field: string, limits: MemoryLimits): void {
    if (this.#memory) throw new AssemblerError('importMemory: the module already has a memory')
    if (limits.shared && limits.maximum === undefined)
      throw new AssemblerError('importMemory: a shared memory needs a maximum')
    this.#memory = { module, field, limits }
  }

  /** The function type with these parameters and result; equal types share one entry. */
  signature<P extends Parameters, R extends ResultType>(parameters: P, result: R): Signature<P, R> {
    const types = Object.values(parameters)
    const key = `${types.join()}:${result}`
    let typeIndex = this.#types.findIndex((type) => type.key === key)
    if (typeIndex < 0) typeIndex = this.#types.push({ key, parameters: types, result }) - 1
    return { parameters, result, typeIndex }
  }

  /** Imports a function. All imports come before the first own function. */
  importFunction<P extends Parameters, R extends ResultType>(
    module: string,
    field: string,
    parameters: P,
    result: R,
  ): FunctionHandle<P, R> {
    if (this.#functions.length > 0) {
      throw new AssemblerError(`importFunction ${module}.${field}: imports must come before own functions`)
    }
    const handle = { ...this.signature(parameters, result), name: field, index: this.#importedFunctions.length }
    this.#importedFunctions.push({ module, field, handle })
    return handle
  }

  /** Declares a function to be defined later, for recursion and forward calls. */
  declare<P extends Parameters, R extends ResultType>(name: string, parameters: P, result: R): FunctionHandle<P, R> {
    const index = this.#importedFunctions.length + this.#functions.length
    const handle = { ...this.signature(parameters, result), name, index }
    this.#functions.push({ handle, code: undefined })
    return handle
  }

  /** Gives a declared function its body. */
  define<P extends Parameters, R extends ResultType>(
    handle: FunctionHandle<P, R>,
    body: (fn: FunctionBuilder<P, R>, parameters: ParameterLocals<P>) => void,
  ): void {
    const entry = this.#functions[handle.index - this.#importedFunctions.length]
    if (!entry || entry.handle !== (handle as FunctionHandle)) {
      throw new AssemblerError(`define ${handle.name}: not a function of this module`)
    }
    if (entry.code) throw new AssemblerError(`define ${handle.name}: already defined`)
    entry.code = inFunction(handle.name, () => {
      const builder = new FunctionBuilder<P, R>(handle.name, handle.parameters, handle.result)
      body(builder, builder.parameters)
      return builder.finish()
    })
  }

  /** Adds a function with its body. A function with a result must end by `fn.return`. */
  function<P extends Parameters, R extends ResultType>(
    name: string,
    parameters: P,
    result: R,
    body: (fn: FunctionBuilder<P, R>, parameters: ParameterLocals<P>) => void,
  ): FunctionHandle<P, R> {
    const handle = this.declare(name, parameters, result)
    this.define(handle, body)
    return handle
  }

  /** Exports a function, under its own name unless another is given. */
  export(handle: FunctionHandle<Parameters, ResultType>, name = handle.name): void {
    this.#addExport(name, 0, handle.index)
  }

  /** Adds a global variable. */
  global<Type extends ValueType>(
    type: Type,
    initial: Type extends 'i64' ? bigint : number,
    mutable = true,
  ): Global<Type> {
    if (type === 'v128') throw new AssemblerError('global: vector globals are not supported')
    return new Global(type, this.#globals.push({ type, mutable, initial }) - 1, mutable)
  }

  /** Imports a table of functions for `callIndirect`. */
  importTable(module: string, field: string, minimum: number): void {
    this.#requireNoTable('importTable')
    this.#importedTable = { module, field, minimum }
  }

  /** Makes the module's own table, filled with these functions from element 0; exported if a name is given. */
  table(functions: readonly FunctionHandle[], exportName?: string): void {
    this.#requireNoTable('table')
    this.#table = functions
    if (exportName !== undefined) this.#addExport(exportName, 1, 0)
  }

  /** The binary module. */
  toBytes(): Uint8Array<ArrayBuffer> {
    const out = new ByteWriter(4096)
    out.bytes([0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0])
    this.#section(out, 1, this.#types, (section, type) => {
      section.byte(0x60)
      section.unsigned(type.parameters.length)
      for (const parameter of type.parameters) section.byte(valueTypeCode[parameter])
      if (type.result === 'void') section.byte(0)
      else section.bytes([1, valueTypeCode[type.result]])
    })
    this.#section(out, 2, this.#imports(), (section, write) => write(section))
    this.#section(out, 3, this.#functions, (section, entry) => section.unsigned(entry.handle.typeIndex))
    this.#section(out, 4, this.#table ? [this.#table] : [], (section, functions) => {
      section.bytes([0x70, 0x00])
      section.unsigned(functions.length)
    })
    this.#section(out, 6, this.#globals, writeGlobal)
    this.#section(out, 7, this.#exports, (section, entry) => {
      section.name(entry.name)
      section.byte(entry.kind)
      section.unsigned(entry.index)
    })
    this.#section(out, 9, this.#table && this.#table.length > 0 ? [this.#table] : [], (section, functions) => {
      section.bytes([0x00, 0x41, 0x00, 0x0b])
      section.unsigned(functions.length)
      for (const entry of functions) section.unsigned(entry.index)
    })
    this.#section(out, 10, this.definitions(), (section, { code }) => section.sized(encodeFunction(code)))
    this.#names(out)
    return out.toBytes()
  }

  /** Every own function with its finished code, in order. */
  definitions(): { readonly handle: FunctionHandle; readonly code: FunctionCode }[] {
    return this.#functions.map(({ handle, code }) => {
      if (!code) throw new AssemblerError(`function ${handle.name} is declared but not defined`)
      return { handle, code }
    })
  }

  /** The name of a function by its index in the module. */
  functionName(index: number): string {
    const imported = this.#importedFunctions.length
    const handle = index < imported ? this.#importedFunctions[index]?.handle : this.#functions[index - imported]?.handle
    return handle?.name ?? String(index)
  }

  #addExport(name: string, kind: number, index: number): void {
    if (this.#exports.some((entry) => entry.name === name))
      throw new AssemblerError(`export: '${name}' is already exported`)
    this.#exports.push({ name, kind, index })
  }

  #requireNoTable(place: string): void {
    if (this.#table || this.#importedTable) throw new AssemblerError(`${place}: the module already has a table`)
  }

  #imports(): ((section: ByteWriter) => void)[] {
    const list: ((section: ByteWriter) => void)[] = []
    const memory = this.#memory
    if (memory) {
      list.push((section) => {
        const { minimum, maximum, shared = false } = memory.limits
        section.name(memory.module)
        section.name(memory.field)
        section.bytes([0x02, (maximum === undefined ? 0 : 1) | (shared ? 2 : 0)])
        section.unsigned(minimum)
        if (maximum !== undefined) section.unsigned(maximum)
      })
    }
    const table = this.#importedTable
    if (table) {
      list.push((section) => {
        section.name(table.module)
        section.name(table.field)
        section.bytes([0x01, 0x70, 0x00])
        section.unsigned(table.minimum)
      })
    }
    for (const { module, field, handle } of this.#importedFunctions) {
      list.push((section) => {
        section.name(module)
        section.name(field)
        section.byte(0x00)
        section.unsigned(handle.typeIndex)
      })
    }
    return list
  }

  #section<Entry>(
    out: ByteWriter,
    id: number,
    entries: readonly Entry[],
    write: (section: ByteWriter, entry: Entry) => void,
  ): void {
    if (entries.length === 0) return
    const section = new ByteWriter(256)
    section.unsigned(entries.length)
    for (const entry of entries) write(section, entry)
    out.byte(id)
    out.sized(section.view())
  }

  /** The custom section of function names, which profilers and stack traces show. */
  #names(out: ByteWriter): void {
    const names = new ByteWriter(256)
    const handles = [...this.#importedFunctions, ...this.#functions].map((entry) => entry.handle)
    names.unsigned(handles.length)
    for (const handle of handles) {
      names.unsigned(handle.index)
      names.name(handle.name)
    }
    const section = new ByteWriter(256)
    section.name('name')
    section.byte(1)
    section.sized(names.view())
    out.byte(0)
    out.sized(section.view())
  }
}

function writeGlobal(section: ByteWriter, entry: GlobalEntry): void {
  section.bytes([valueTypeCode[entry.type], entry.mutable ? 1 : 0])
  switch (entry.type) {
    case 'i32':
      section.byte(0x41)
      section.signed32(Number(entry.initial))
      break
    case 'i64':
      section.byte(0x42)
      section.signed64(BigInt(entry.initial))
      break
    case 'f32':
      section.byte(0x43)
      section.float32(Number(entry.initial))
      break
    default:
      section.byte(0x44)
      section.float64(Number(entry.initial))
  }
  section.byte(0x0b)
}
