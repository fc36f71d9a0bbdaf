/** What a library asks of WebGPU. */
export interface WebGpuUse {
  dispatches: number
  submits: number
  /** Bytes of the buffers that dispatches bind, each as often as it is bound: at most so many are read and written. */
  boundBytes: number
  /** Bytes that the host writes, and that are copied between buffers. */
  writtenBytes: number
  copiedBytes: number
  /** What is made anew. */
  buffers: number
  bindGroups: number
  pipelines: number
}

const nothing = (): WebGpuUse => ({
  dispatches: 0,
  submits: 0,
  boundBytes: 0,
  writtenBytes: 0,
  copiedBytes: 0,
  buffers: 0,
  bindGroups: 0,
  pipelines: 0,
})

type Method = (this: unknown, ...given: unknown[]) => unknown

/**
 * Counts from now on, for all libraries of the process alike: wraps the methods of WebGPU's classes, which Dawn or the browser has made global.
 *
 * @returns gives what was counted since it was last asked
 */
export function countWebGpu(): () => WebGpuUse {
  let use = nothing()
  const bytesOfGroup = new WeakMap<object, number>()
  const groupsOfPass = new WeakMap<object, Map<number, number>>()

  const wrap = (
    type: string,
    method: string,
    after: (self: object, given: unknown[], result: unknown) => void,
  ): void => {
    const { prototype } = (globalThis as unknown as Record<string, { prototype: Record<string, Method> }>)[type]!
    const original = prototype[method]!
    prototype[method] = function (...given) {
      const result = original.apply(this, given)
      after(this as object, given, result)
      return result
    }
  }
  const count = (type: string, method: string, what: 'buffers' | 'pipelines' | 'submits'): void =>
    wrap(type, method, () => {
      use[what]++
    })

  count('GPUDevice', 'createBuffer', 'buffers')
  count('GPUDevice', 'createComputePipeline', 'pipelines')
  count('GPUDevice', 'createComputePipelineAsync', 'pipelines')
  count('GPUQueue', 'submit', 'submits')
  wrap('GPUDevice', 'createBindGroup', (_, [descriptor], group) => {
    use.bindGroups++
    const { entries } = descriptor as GPUBindGroupDescriptor
    let bytes = 0
    for (const { resource } of entries) {
      // A buffer may stand for itself.
      const { buffer, offset, size } = ('buffer' in resource ? resource : { buffer: resource }) as GPUBufferBinding
      bytes += size ?? buffer.size - (offset ?? 0)
    }
    bytesOfGroup.set(group as object, bytes)
  })
  wrap('GPUComputePassEncoder', 'setBindGroup', (pass, [index, group]) => {
    const bound = groupsOfPass.get(pass) ?? new Map<number, number>()
    groupsOfPass.set(pass, bound)
    bound.set(index as number, bytesOfGroup.get(group as object) ?? 0)
  })
  const dispatched = (pass: object): void => {
    use.dispatches++
    for (const bytes of groupsOfPass.get(pass)?.values() ?? []) use.boundBytes += bytes
  }
  wrap('GPUComputePassEncoder', 'dispatchWorkgroups', dispatched)
  wrap('GPUComputePassEncoder', 'dispatchWorkgroupsIndirect', dispatched)
  wrap('GPUQueue', 'writeBuffer', (_, [, , data, start, size]) => {
    const view = data as Uint8Array
    const unit = view.BYTES_PER_ELEMENT ?? 1
    use.writtenBytes += size === undefined ? view.byteLength - unit * ((start as number) ?? 0) : unit * (size as number)
  })
  wrap('GPUCommandEncoder', 'copyBufferToBuffer', (_, given) => {
    // Of two forms, the short one has no offsets.
    const size = typeof given[1] === 'number' ? given[4] : given[2]
    use.copiedBytes += (size as number | undefined) ?? 0
  })
  return () => {
    const counted = use
    use = nothing()
    return counted
  }
}
