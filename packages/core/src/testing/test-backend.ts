import type { ElementwiseName } from '../graph/operations.ts'
import type { Backend, Device, Kernel } from '../plugin/contract.ts'
import type { Tolerance } from './assertions.ts'
import { type Capabilities, createContext, defaultCapabilities, type TestRunner } from './context.ts'
import { columnSuite, mapSuite } from './suites/bodies.ts'
import { castSuite } from './suites/casts.ts'
import { deviceSuite } from './suites/device.ts'
import { elementwiseSuite } from './suites/elementwise.ts'
import { epilogueSuite } from './suites/epilogues.ts'
import { gatherSuite, scatterSuite } from './suites/gather.ts'
import { matmulSuite } from './suites/matmul.ts'
import { memorySuite } from './suites/memory.ts'
import { rowSuite } from './suites/rows.ts'
import { viewSuite } from './suites/views.ts'

export interface BackendTestOptions {
  readonly backend: Backend
  /** The backend's kernels of `fused`, `matmul`, `gather` and `scatter`. For each call the cheapest one is tested. */
  readonly kernels: readonly Kernel[]
  readonly run: TestRunner
  /** What the device can do, where that is not everything. */
  readonly capabilities?: Partial<Capabilities>
  /** Tolerances of elementwise ops, where the device's differ from `elementwiseTolerances`. */
  readonly tolerances?: Partial<Record<ElementwiseName, Tolerance>>
  /** Random operands follow from this number and the name of the test. */
  readonly seed?: number
}

/**
 * Declares the tests that every backend must pass: each op on each format with ordinary and special operands, fused bodies
 * of every kind, views, products, lookups, memory, and the device itself. Results are compared with the reference
 * backend's. Works with any test runner that has `describe` and `it`.
 *
 * The last test closes the device.
 *
 * @example
 * ```ts sketch
 * import { testBackend } from '@tessera/core/testing'
 * import { describe, it } from 'vitest'
 *
 * testBackend({ backend: myBackend, kernels: myKernels, run: { describe, it }, capabilities: { denormals: false } })
 * ```
 */
export function testBackend({
  backend,
  kernels,
  run,
  capabilities = {},
  tolerances = {},
  seed = 1,
}: BackendTestOptions): void {
  const open = async (): Promise<Device> => {
    const opened = await backend.open()
    if ('unavailable' in opened) throw new Error(`Backend '${backend.name}' cannot run here: ${opened.unavailable}`)
    return opened
  }
  let shared: Promise<Device> | undefined
  let bytesAtStart = 0
  const openShared = async (): Promise<Device> => {
    const opened = await open()
    bytesAtStart = opened.memory().usedBytes
    return opened
  }
  const device = (): Promise<Device> => {
    shared ??= openShared()
    return shared
  }
  const context = createContext({
    kernels,
    device,
    run,
    seed,
    tolerances,
    capabilities: { ...defaultCapabilities, ...capabilities },
  })

  context.describe(`backend ${backend.name}`, () => {
    elementwiseSuite(context)
    castSuite(context)
    mapSuite(context)
    rowSuite(context)
    columnSuite(context)
    viewSuite(context)
    matmulSuite(context)
    epilogueSuite(context)
    gatherSuite(context)
    scatterSuite(context)
    memorySuite(context)
    deviceSuite(context, open)
    context.it('has freed all memory in the end', async () => {
      const last = await device()
      await last.synchronize()
      const { usedBytes } = last.memory()
      await last.close()
      if (usedBytes !== bytesAtStart)
        throw new Error(
          `${usedBytes} bytes are in use after all tests, ${bytesAtStart} were before them. A test that failed may have left its buffers.`,
        )
    })
  })
}
