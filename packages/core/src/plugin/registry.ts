import { TesseraError } from '../errors.ts'
import { compoundNames } from '../graph/compounds/index.ts'
import { coreFormats } from '../graph/format.ts'
import type { OpName } from '../graph/operations.ts'
import { isPrimitive } from '../graph/primitives.ts'
import {
  type Backend,
  type Kernel,
  type NumericFormat,
  type OpDefinition,
  type Pass,
  type Plugin,
  pluginApiVersion,
} from './contract.ts'

/** What the plugins of a runtime bring, checked: names are unique, peers are there, versions fit. */
export class Registry {
  readonly plugins: readonly Plugin[]
  readonly backends = new Map<string, Backend>()
  readonly formats = new Map<string, NumericFormat>()
  /** The ops of plugins; core's own are in its functions. */
  readonly ops = new Map<string, OpDefinition>()
  readonly passes: Pass[] = []
  readonly #kernels = new Map<string, Kernel>()

  constructor(plugins: readonly Plugin[]) {
    this.plugins = plugins
    for (const format of coreFormats) this.formats.set(format.name, format)
    const names = new Set<string>()
    for (const plugin of plugins) {
      checkPlugin(plugin)
      if (names.has(plugin.name)) throw duplicate('plugin', plugin.name, plugin.name)
      names.add(plugin.name)
      this.#add(plugin)
    }
    for (const plugin of plugins) {
      const missing = (plugin.requires ?? [])
        .map((wanted) => (typeof wanted === 'string' ? [wanted] : wanted))
        .filter((choices) => !choices.some((name) => names.has(name)))
      if (missing.length > 0) {
        const wanted = missing.map((choices) => choices.map((name) => `'${name}'`).join(' or '))
        throw new TesseraError(
          'MISSING_PEER',
          `Plugin '${plugin.name}' needs ${wanted.join(' and ')}, which is not used. Add it: createRuntime({ use: [${missing.map(([name]) => `${name}()`).join(', ')}, …] }).`,
        )
      }
    }
  }

  #add(plugin: Plugin): void {
    for (const backend of plugin.backends ?? []) {
      if (this.backends.has(backend.name)) throw duplicate('backend', backend.name, plugin.name)
      this.backends.set(backend.name, backend)
    }
    for (const format of plugin.formats ?? []) {
      if (this.formats.has(format.name)) throw duplicate('number format', format.name, plugin.name)
      this.formats.set(format.name, format)
    }
    for (const definition of plugin.ops ?? []) {
      const taken = isPrimitive(definition.op) || definition.op in compoundNames || this.ops.has(definition.op)
      if (taken) throw duplicate('op', definition.op, plugin.name)
      this.ops.set(definition.op, definition)
    }
    for (const kernel of plugin.kernels ?? []) {
      const key = `${kernel.backend}/${kernel.op}/${kernel.name}`
      if (this.#kernels.has(key)) throw duplicate('kernel', key, plugin.name)
      this.#kernels.set(key, kernel)
    }
    for (const pass of plugin.passes ?? []) {
      if (this.passes.some(({ name }) => name === pass.name)) throw duplicate('pass', pass.name, plugin.name)
      this.passes.push(pass)
    }
  }

  /** The kernels of a backend. */
  kernelsOf(backend: string): readonly Kernel[] {
    return [...this.#kernels.values()].filter((kernel) => kernel.backend === backend)
  }

  /** Checks that forced kernels exist. */
  checkForced(backend: string, force: Readonly<Partial<Record<OpName, string>>>): void {
    const kernels = this.kernelsOf(backend)
    for (const [op, name] of Object.entries(force)) {
      const names = kernels.filter((kernel) => kernel.op === op).map((kernel) => kernel.name)
      if (!names.includes(name as string)) {
        throw new TesseraError(
          'UNKNOWN_KERNEL',
          `force: backend '${backend}' has no kernel '${name}' for '${op}'. It has: ${names.join(', ') || 'none'}.`,
        )
      }
    }
  }
}

function checkPlugin(plugin: Plugin): void {
  if (typeof plugin !== 'object' || plugin === null || typeof plugin.name !== 'string') {
    throw new TesseraError(
      'BAD_PLUGIN',
      `createRuntime: 'use' takes plugins, got ${typeof plugin}. Call the package's function: use: [wasm()], not [wasm].`,
    )
  }
  if (plugin.apiVersion !== pluginApiVersion) {
    throw new TesseraError(
      'PLUGIN_VERSION',
      `Plugin '${plugin.name}' is made for version ${String(plugin.apiVersion)} of the plugin contract, this core has version ${pluginApiVersion}. Install versions of both that go together.`,
    )
  }
}

function duplicate(what: string, name: string, plugin: string): TesseraError {
  return new TesseraError(
    'DUPLICATE_PLUGIN',
    `The ${what} '${name}' (from plugin '${plugin}') is there already. Use each plugin once, and rename what clashes.`,
  )
}
