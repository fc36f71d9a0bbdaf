/** Entry points of Dawn, by their flags. They stay for good: collecting one aborts the process. */
const entries = new Map<string, GPU>()

/**
 * WebGPU of the browser, or of the package `webgpu` in Node.
 *
 * @param flags for Dawn in Node
 * @returns the reason as text when there is none
 */
export async function findGpu(flags: readonly string[]): Promise<GPU | string> {
  const own = (globalThis.navigator as { gpu?: GPU } | undefined)?.gpu
  if (own) return own
  if (typeof process === 'undefined' || !process.versions?.node) {
    return 'this browser has no WebGPU (navigator.gpu), or the page is not a secure context. Use https, or the wasm backend.'
  }
  const key = flags.join()
  const known = entries.get(key)
  if (known) return known
  // Not a literal: bundlers for browsers would look for the package.
  const name: string = 'webgpu'
  let module: { create(flags: string[]): GPU }
  try {
    module = (await import(name)) as typeof module
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return `Node needs the package 'webgpu' for this backend: npm install webgpu@0.6.2 (${reason}).`
  }
  const gpu = module.create([...flags])
  entries.set(key, gpu)
  return gpu
}

/** Features that kernels make use of, where the adapter has them. */
const wantedFeatures = ['shader-f16', 'subgroups', 'timestamp-query'] as const
/** Limits that are raised to what the adapter has. */
const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupStorageSize',
] as const

export async function requestDevice(adapter: GPUAdapter): Promise<GPUDevice> {
  return adapter.requestDevice({
    requiredFeatures: wantedFeatures.filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(wantedLimits.map((name) => [name, adapter.limits[name]])),
  })
}
