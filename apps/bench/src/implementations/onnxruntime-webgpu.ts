import type { InferenceSession as Session } from 'onnxruntime-web'
import type { PreparedCase } from './implementation.ts'
import type { Library } from './onnxruntime.ts'

type WebGpuLibrary = typeof import('onnxruntime-web/webgpu')

/** onnxruntime-web's WebGPU provider with operands and results that stay in GPU memory, as they do in the other libraries. */
export interface OnnxOnWebGpu {
  readonly library: Library
  /** A case whose `run` leaves its results on the device, and which waits for the device at the end of a sample. */
  prepared(benchmarkCase: PreparedCase): PreparedCase
}

export async function loadOnnxWebGpu(): Promise<OnnxOnWebGpu> {
  const { installDawn } = await import('./dawn.ts')
  installDawn()
  allowSharedWrites()
  const ort = await import('onnxruntime-web/webgpu')
  ort.env.wasm.numThreads = 1
  return onWebGpu(ort)
}

/** Dawn in Node does not take data in shared memory, which is where onnxruntime has it. */
function allowSharedWrites(): void {
  const { prototype } = (globalThis as unknown as { GPUQueue: { prototype: GPUQueue } }).GPUQueue
  const { writeBuffer } = prototype
  prototype.writeBuffer = function (buffer, bufferOffset, data, dataOffset = 0, size) {
    const view = ArrayBuffer.isView(data) ? data : new Uint8Array(data)
    const unit = (view as Uint8Array).BYTES_PER_ELEMENT ?? 1
    const start = view.byteOffset + dataOffset * unit
    const length = size === undefined ? view.byteLength - dataOffset * unit : size * unit
    writeBuffer.call(this, buffer, bufferOffset, new Uint8Array(view.buffer, start, length).slice())
  }
}

function onWebGpu(ort: WebGpuLibrary): OnnxOnWebGpu {
  let device: GPUDevice | undefined
  let isRead = false

  const create = async (model: Uint8Array, options: Session.SessionOptions): Promise<unknown> => {
    const session = await ort.InferenceSession.create(model, { ...options, preferredOutputLocation: 'gpu-buffer' })
    // The library makes another device when it has released all sessions of one.
    device = (await ort.env.webgpu.device) as GPUDevice
    let operands: Record<string, InstanceType<WebGpuLibrary['Tensor']>> | undefined
    return {
      async run(feeds: Record<string, { type: string; data: Float32Array; dims: readonly number[] }>) {
        operands ??= Object.fromEntries(Object.entries(feeds).map(([name, feed]) => [name, upload(feed)]))
        const results = await session.run(operands)
        const read: Record<string, { data: unknown }> = {}
        for (const [name, result] of Object.entries(results)) {
          if (isRead) read[name] = { data: await result.getData() }
          result.dispose()
        }
        return read
      },
      async release() {
        await session.release()
        for (const operand of Object.values(operands ?? {})) operand.dispose()
      },
    }
  }

  const upload = ({ data, dims }: { data: Float32Array; dims: readonly number[] }) => {
    const size = 16 * Math.ceil(data.byteLength / 16)
    // STORAGE, COPY_SRC and COPY_DST.
    const buffer = device!.createBuffer({ size, usage: 0x80 | 0x4 | 0x8, mappedAtCreation: true })
    new Float32Array(buffer.getMappedRange()).set(data)
    buffer.unmap()
    const dispose = (): void => buffer.destroy()
    return ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: [...dims], dispose })
  }

  /** Operands are uploaded when a session has made the device. */
  class HostTensor {
    readonly type: string
    readonly data: Float32Array
    readonly dims: readonly number[]
    constructor(type: string, data: Float32Array, dims: readonly number[]) {
      this.type = type
      this.data = data
      this.dims = dims
    }
  }

  return {
    library: { InferenceSession: { create }, Tensor: HostTensor } as unknown as Library,
    prepared: (benchmarkCase) => ({
      ...benchmarkCase,
      settle: () => device!.queue.onSubmittedWorkDone(),
      async output() {
        isRead = true
        try {
          return await benchmarkCase.output()
        } finally {
          isRead = false
        }
      },
    }),
  }
}
