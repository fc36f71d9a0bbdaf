import type { Implementation, ImplementationOptions } from './implementation.ts'

type Create = (options: ImplementationOptions) => Implementation

/** Loaded on demand: a child pays for, and is disturbed by, no library but its own. */
const loaders: Readonly<Record<string, () => Promise<Create>>> = {
  limits: async () => (await import('./limits.ts')).createLimits,
  tessera: async () => (await import('./tessera.ts')).createTessera,
  'tessera-winograd': async () => (await import('./tessera.ts')).createTesseraWinograd,
  'onnxruntime-web': async () => (await import('./onnxruntime.ts')).createOnnxRuntimeWeb,
  'onnxruntime-node': async () => (await import('./onnxruntime.ts')).createOnnxRuntimeNode,
  tfjs: async () => (await import('./tfjs.ts')).createTfjs,
  'jax-js': async () => (await import('./jax-js.ts')).createJaxJs,
  javascript: async () => (await import('./javascript.ts')).createJavaScript,
}

/** Makes the implementation of that name. Throws when there is none. */
export async function createImplementation(name: string, options: ImplementationOptions): Promise<Implementation> {
  const load = loaders[name]
  if (!load) throw new Error(`no implementation is called "${name}"; there are ${Object.keys(loaders).join(', ')}`)
  return (await load())(options)
}
