import { create, globals } from 'webgpu'

/** Dawn's entry point: collecting it would abort the process. */
let gpu: GPU | undefined

/**
 * Gives Node what libraries for browsers look for: `navigator.gpu` and the constants of WebGPU.
 *
 * @param flags of Dawn; those of the first call count
 */
export function installDawn(flags: readonly string[] = []): GPU {
  gpu ??= create([...flags])
  Object.assign(globalThis, globals)
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true })
  return gpu
}
