import { debugLevel, debugStages } from '../debug/debug.ts'
import { TesseraError } from '../errors.ts'
import type { OpName } from '../graph/operations.ts'
import type { PipelineOptions } from '../pipeline.ts'
import type { Device, Plugin } from '../plugin/contract.ts'
import { Registry } from '../plugin/registry.ts'
import { ProgramCache } from './cache.ts'
import { hostFallback } from './host-fallback.ts'
import { settled } from './order.ts'
import { referenceBackend, referenceKernels } from './reference/index.ts'
import { forgetDevice } from './storage.ts'

export interface RuntimeOptions {
  /** Plugins: backends, kernels, ops, formats, passes. The reference backend needs none. */
  readonly use?: readonly Plugin[]
  /** Name of the backend to open; by default the first one of `use` that runs on this machine. */
  readonly backend?: string
  /** False runs one call for each op, to compare with. */
  readonly fuse?: boolean
  /** By op, the name of the kernel to take whatever it is estimated to cost. */
  readonly force?: Readonly<Partial<Record<OpName, string>>>
  /** Largest relative error, against float64, of kernels that may be chosen. */
  readonly tolerance?: number
  /**
   * What happens to ops that the backend cannot run, such as those of f64 on WebGPU: `host` computes them on the host by the reference kernels,
   * with one notice, and `explain` counts them; `error` throws `NO_KERNEL`. `host` by default.
   */
  readonly fallback?: 'host' | 'error'
  /** 1 stages, 2 kernels with times, 3 schedule and memory, 4 generated code, 5 graphs; by default the number in `TESSERA_DEBUG`. */
  readonly debug?: number
  /** Takes the lines that `debug` asks for, and notices; standard error by default. */
  readonly log?: (line: string) => void
}

/** An open backend with the plugins that go with it: what runs programs. */
export interface Runtime {
  readonly device: Device
  readonly plugins: readonly Plugin[]
  /** Bytes of device memory in use, and at most so far. */
  memory(): { readonly usedBytes: number; readonly peakBytes: number }
  /** Makes this the runtime of tensors that live nowhere yet. */
  makeCurrent(): void
  /** Resolves when everything asked for so far has been computed. */
  synchronize(): Promise<void>
  /** Frees all of the device's memory. Its tensors cannot be read any more. */
  close(): Promise<void>
}

/** What evaluation needs to know of a device. */
export interface RuntimeState {
  readonly runtime: Runtime
  readonly pipeline: PipelineOptions
  readonly cache: ProgramCache
  readonly debug: number
  readonly log: (line: string) => void
}

const states = new WeakMap<Device, RuntimeState>()
let current: Runtime | undefined

/** The embedded default: right, and slow. */
export const referencePlugin: Plugin = {
  name: 'reference',
  apiVersion: 1,
  backends: [referenceBackend],
  kernels: referenceKernels,
}

/**
 * Opens a backend and registers what the plugins bring. The new runtime becomes the current one: tensors that live on no
 * device yet are computed there.
 *
 * @throws TesseraError for plugins that clash, lack a peer or are made for another version of the contract, for an unknown
 *   backend, and when no backend runs on this machine
 *
 * @example
 * ```ts
 * import { createRuntime, tensor } from '@tessera/core'
 * const runtime = await createRuntime()
 * console.log(runtime.device.backend, await tensor([1, 2]).sum().item()) // reference 3
 * await runtime.close()
 * ```
 */
export async function createRuntime(options: RuntimeOptions = {}): Promise<Runtime> {
  const registry = registryOf(options)
  const reasons: string[] = []
  for (const backend of candidates(registry, options.backend)) {
    const opened = await backend.open()
    if (!('unavailable' in opened)) return activate(opened, registry, options)
    reasons.push(`${backend.name}: ${opened.unavailable}`)
  }
  throw new TesseraError('NO_BACKEND', `createRuntime: no backend runs here. ${reasons.join(' ')}`)
}

function registryOf(options: RuntimeOptions): Registry {
  const plugins = options.use ?? []
  const hasBackend = plugins.some((plugin) => (plugin?.backends?.length ?? 0) > 0)
  return new Registry(
    hasBackend && options.backend !== 'reference'
      ? plugins
      : [...plugins, ...(plugins.includes(referencePlugin) ? [] : [referencePlugin])],
  )
}

function candidates(registry: Registry, name: string | undefined) {
  if (name === undefined) return [...registry.backends.values()]
  const backend = registry.backends.get(name)
  if (!backend) {
    const known = [...registry.backends.keys()].join(', ')
    throw new TesseraError(
      'UNKNOWN_BACKEND',
      `createRuntime: there is no backend '${name}'. These are used: ${known}. Add the plugin that brings it to 'use'.`,
    )
  }
  return [backend]
}

function activate(device: Device, registry: Registry, options: RuntimeOptions): Runtime {
  registry.checkForced(device.backend, options.force ?? {})
  const debug = options.debug ?? debugLevel()
  const log = options.log ?? ((line: string) => console.error(line))
  const runtime: Runtime = {
    device,
    plugins: registry.plugins,
    memory: () => device.memory(),
    makeCurrent: () => {
      current = runtime
    },
    synchronize: async () => {
      await settled(device)
      await device.synchronize()
    },
    close: async () => {
      // What failed has nobody left to be told.
      await settled(device).catch(() => {})
      if (current === runtime) current = undefined
      states.get(device)?.cache.clear()
      states.delete(device)
      forgetDevice(device)
      await device.close()
    },
  }
  const onStage = debugStages(debug, log)
  states.set(device, {
    runtime,
    pipeline: {
      device,
      kernels: registry.kernelsOf(device.backend),
      passes: registry.passes,
      rules: {
        ...(options.force && { force: options.force }),
        ...(options.tolerance !== undefined && { tolerance: options.tolerance }),
      },
      fuse: options.fuse ?? true,
      ...(options.fallback !== 'error' && device.backend !== 'reference' && { onHost: hostFallback(device, log) }),
      ...(onStage && { onStage }),
    },
    cache: new ProgramCache(),
    debug,
    log,
  })
  runtime.makeCurrent()
  return runtime
}

/** The state of the runtime that a device belongs to, or of the current one. */
export function runtimeState(device: Device | undefined): RuntimeState {
  const state = states.get(device ?? currentRuntime().device)
  if (!state)
    throw new TesseraError('CLOSED', 'A tensor lives on a runtime that has been closed. Read its data before close().')
  return state
}

/** The runtime that tensors without a device are computed on; without one, the embedded reference backend. */
export function currentRuntime(): Runtime {
  if (!current) {
    const device = referenceBackend.open()
    activate(device, new Registry([referencePlugin]), {})
  }
  return current!
}
