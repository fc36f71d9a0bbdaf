import { create, globals } from 'webgpu'

/** Dawn's entry point: collecting it would abort the process. */
const gpu = create([])

/** Gives Node what libraries for browsers look for: `navigator.gpu` and the constants of WebGPU. */
export function installDawn(): GPU {
  Object.assign(globalThis, globals)
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true })
  return gpu
}
