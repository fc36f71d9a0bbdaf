import type { Backend, Device, Limits, Plugin, Unavailable } from '@tessera/core'
import { findGpu, requestDevice } from './adapter.ts'
import { WebGpuDevice } from './device/device.ts'
import { Machine } from './device/machine.ts'
import type { CompileProgress } from './device/pipelines.ts'
import { webGpuKernels } from './kernels/index.ts'
import type { WebGpuEnvironment, WebGpuKernelProgram } from './program/contract.ts'

declare module '@tessera/core' {
  interface BackendPrograms {
    webgpu: WebGpuKernelProgram
  }
}

/** Options of `webgpu`. */
export interface WebGpuOptions {
  /** Where adapters come from: by default `navigator.gpu`, or the package `webgpu` in Node. */
  readonly gpu?: GPU
  /** Which adapter of several; by default the faster one. */
  readonly powerPreference?: 'low-power' | 'high-performance'
  /** Flags of Dawn, in Node only, for example `adapter=llvmpipe` to take the adapter with that in its name. */
  readonly dawnFlags?: readonly string[]
  /** What the adapter can do, where you know it: estimates, and the shares of the limit in `explain`, go by it. By default a middling card's. */
  readonly peak?: { readonly gigaflops: number; readonly gigabytesPerSecond: number }
  /** Told whenever a shader has been compiled. */
  readonly onCompile?: (progress: CompileProgress) => void
}

/**
 * The WebGPU backend with its kernels, as a plugin: browsers by `navigator.gpu`, Node by the package `webgpu`.
 *
 * @example
 * ```ts sketch
 * import { createRuntime, tensor } from '@tessera/core'
 * import { webgpu } from '@tessera/backend-webgpu'
 * const runtime = await createRuntime({ use: [webgpu()] })
 * console.log(runtime.device.backend, await tensor([1, 2, 3]).multiply(2).data()) // webgpu Float32Array(3) [ 2, 4, 6 ]
 * await runtime.close()
 * ```
 */
export function webgpu(options: WebGpuOptions = {}): Plugin {
  const backend: Backend<'webgpu'> = { name: 'webgpu', open: () => openDevice(options) }
  return { name: 'webgpu', apiVersion: 1, backends: [backend], kernels: webGpuKernels }
}

async function openDevice(options: WebGpuOptions): Promise<Device<'webgpu'> | Unavailable> {
  const gpu = options.gpu ?? (await findGpu(options.dawnFlags ?? []))
  if (typeof gpu === 'string') return { unavailable: gpu }
  const powerPreference = options.powerPreference ?? 'high-performance'
  const adapter = await gpu.requestAdapter({ powerPreference })
  if (!adapter) {
    return {
      unavailable:
        'there is no WebGPU adapter. Install a graphics driver; without a graphics card, a software driver such as SwiftShader (VK_ICD_FILENAMES in Node). ' +
        'Or use the wasm backend.',
    }
  }
  const device = await requestDevice(adapter)
  const environment = environmentOf(adapter, device, gpu)
  const machine = new Machine(device, environment, limitsOf(device, environment, options.peak), options.onCompile)
  return new WebGpuDevice(machine, variantOf(adapter, environment), gpu)
}

function environmentOf({ info }: GPUAdapter, { features, limits }: GPUDevice, gpu: GPU): WebGpuEnvironment {
  const subgroups = features.has('subgroups') && gpu.wgslLanguageFeatures.has('subgroup_id')
  return {
    features: {
      f16: features.has('shader-f16'),
      subgroups,
      subgroupSizes: subgroups ? [info.subgroupMinSize, info.subgroupMaxSize] : [0, 0],
      software: info.isFallbackAdapter || info.architecture === 'swiftshader',
    },
    limits: {
      storageBuffers: limits.maxStorageBuffersPerShaderStage,
      invocations: Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX),
      workgroupsPerAxis: limits.maxComputeWorkgroupsPerDimension,
      workgroupBytes: limits.maxComputeWorkgroupStorageSize,
      bindingAlignment: Math.max(limits.minStorageBufferOffsetAlignment, limits.minUniformBufferOffsetAlignment),
    },
  }
}

/** Figures for estimates: of a middling graphics card, or of shaders run by a processor. */
function limitsOf({ limits }: GPUDevice, environment: WebGpuEnvironment, peak: WebGpuOptions['peak']): Limits {
  const { software } = environment.features
  return {
    gigaflops: software ? 10 : 4000,
    gigabytesPerSecond: software ? 4 : 200,
    microsecondsPerCall: software ? 20 : 5,
    alignment: environment.limits.bindingAlignment,
    maximumBufferBytes: Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize),
    maximumOperands: limits.maxStorageBuffersPerShaderStage,
    ...peak,
  }
}

function variantOf({ info }: GPUAdapter, { features: { f16, subgroups } }: WebGpuEnvironment): string {
  const name = [info.vendor, info.architecture].filter((part) => part !== '').join(' ') || 'adapter'
  return [name, ...(f16 ? ['f16'] : []), ...(subgroups ? ['subgroups'] : [])].join(', ')
}
