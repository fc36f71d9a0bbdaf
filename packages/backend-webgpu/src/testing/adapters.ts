import { existsSync } from 'node:fs'
import type { Backend, Plugin } from '@tessera/core'
import { webgpu } from '../webgpu.ts'

/** A software adapter that tests of kernels run on. */
export interface SoftwareAdapter {
  readonly name: string
  /** Its Vulkan driver's description. */
  readonly driver: string
  /** Tests run on it: it is installed, or must be. */
  readonly isExpected: boolean
  readonly plugin: Plugin
  readonly backend: Backend
}

/** SwiftShader comes with Debian's package `chromium`; `TESSERA_LAVAPIPE` names the driver's description of a lavapipe of Mesa 24 or later. */
const drivers = [
  {
    name: 'SwiftShader',
    driver: '/usr/lib/chromium/vk_swiftshader_icd.json',
    flag: 'adapter=SwiftShader',
    isRequired: Boolean(process.env.CI),
  },
  {
    name: 'lavapipe',
    driver: process.env.TESSERA_LAVAPIPE ?? 'TESSERA_LAVAPIPE',
    flag: 'adapter=llvmpipe',
    isRequired: process.env.TESSERA_LAVAPIPE !== undefined,
  },
]

// Vulkan looks for drivers when Dawn is first asked for an adapter.
process.env.VK_ICD_FILENAMES ??= drivers.flatMap(({ driver }) => (existsSync(driver) ? [driver] : [])).join(':')

/**
 * The adapters that need no graphics card: SwiftShader, which Debian's package `chromium` brings, and a lavapipe. Ask `isExpected` before a test
 * uses one.
 *
 * @example
 * ```ts sketch
 * for (const { name, backend, isExpected } of softwareAdapters) {
 *   if (isExpected) describe(name, () => testKernel({ kernel, backend, calls, run: { describe, it } }))
 * }
 * ```
 */
export const softwareAdapters: readonly SoftwareAdapter[] = drivers.map(({ name, driver, flag, isRequired }) => {
  const plugin = webgpu({ dawnFlags: [flag] })
  return { name, driver, isExpected: isRequired || existsSync(driver), plugin, backend: plugin.backends![0]! }
})
