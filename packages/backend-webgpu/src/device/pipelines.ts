import { TesseraError } from '@tessera/core'
import type { WebGpuDispatch } from '../program/contract.ts'
import { computeStage } from './constants.ts'
import type { Health } from './health.ts'

/** Progress of compilation: shaders that are ready, of all that were asked for since nothing was being compiled. */
export interface CompileProgress {
  readonly done: number
  readonly total: number
}

/** A compute pipeline that may still be compiled. */
export interface CachedPipeline {
  readonly layout: GPUBindGroupLayout
  readonly label: string
  /** `undefined` until `ready` resolves, and for good when the shader is invalid. */
  gpu: GPUComputePipeline | undefined
  /** Resolves when compilation has ended, either way; `undefined` from then on. */
  ready: Promise<void> | undefined
}

/** Pipelines by the text of their shaders, compiled without blocking the caller. */
export class PipelineCache {
  readonly #device: GPUDevice
  readonly #health: Health
  readonly #onProgress: ((progress: CompileProgress) => void) | undefined
  readonly #pipelines = new Map<string, CachedPipeline>()
  readonly #layouts = new Map<string, GPUBindGroupLayout>()
  #done = 0
  #total = 0

  constructor(device: GPUDevice, health: Health, onProgress?: (progress: CompileProgress) => void) {
    this.#device = device
    this.#health = health
    this.#onProgress = onProgress
  }

  get({ name, code, bindings, parameters }: WebGpuDispatch): CachedPipeline {
    const kinds = [
      ...bindings.map(({ access }) => (access === 'read' ? 'read-only-storage' : 'storage')),
      ...(parameters ? ['uniform'] : []),
    ] as GPUBufferBindingType[]
    const known = this.#pipelines.get(code)
    if (known) return known
    const layout = this.#layoutOf(kinds)
    const pipeline: CachedPipeline = { layout, label: name, gpu: undefined, ready: undefined }
    this.#pipelines.set(code, pipeline)
    this.#total++
    pipeline.ready = this.#compile(name, code, layout, pipeline).then(() => {
      pipeline.ready = undefined
      this.#done++
      this.#onProgress?.({ done: this.#done, total: this.#total })
      if (this.#done === this.#total) this.#done = this.#total = 0
    })
    return pipeline
  }

  async #compile(label: string, code: string, layout: GPUBindGroupLayout, target: CachedPipeline): Promise<void> {
    const device = this.#device
    // The messages of an invalid shader are asked for below; without a scope they would be reported twice.
    device.pushErrorScope('validation')
    const module = device.createShaderModule({ label, code })
    const scope = device.popErrorScope()
    try {
      target.gpu = await device.createComputePipelineAsync({
        label,
        layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: 'main' },
      })
      await scope
    } catch (error) {
      if (this.#health.isLost || this.#health.isClosed) return
      const { messages } = await module.getCompilationInfo()
      const found = messages.map(({ type, lineNum, message }) => `line ${lineNum}: ${type}: ${message}`)
      const reason = found.length > 0 ? found.join('\n') : error instanceof Error ? error.message : String(error)
      this.#health.fail(
        new TesseraError('SHADER', `webgpu: the shader of '${label}' does not compile.\n${reason}\n${numbered(code)}`, {
          cause: error,
        }),
      )
    }
  }

  #layoutOf(kinds: readonly GPUBufferBindingType[]): GPUBindGroupLayout {
    const key = kinds.join()
    let layout = this.#layouts.get(key)
    if (!layout) {
      layout = this.#device.createBindGroupLayout({
        entries: kinds.map((type, binding) => ({ binding, visibility: computeStage, buffer: { type } })),
      })
      this.#layouts.set(key, layout)
    }
    return layout
  }
}

const numbered = (code: string): string =>
  code
    .split('\n')
    .map((line, i) => `${String(i + 1).padStart(4)}  ${line}`)
    .join('\n')
