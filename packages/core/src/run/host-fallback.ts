import { formatOf, type TypedArray } from '../graph/format.ts'
import { sizeOf } from '../graph/shape.ts'
import type { Subgraph } from '../graph/subgraph.ts'
import { compileGraph, type PipelineOptions } from '../pipeline.ts'
import type { Device, HostTensor } from '../plugin/contract.ts'
import { referenceBackend, referenceKernels } from './reference/index.ts'

/** Computes on the host, by the reference kernels, what a device cannot; says so once. */
export function hostFallback(device: Device, log: (line: string) => void): NonNullable<PipelineOptions['onHost']> {
  let isNoted = false
  let host: Device | undefined
  return {
    evaluator: (body) => {
      host ??= referenceBackend.open()
      return evaluatorOn(host, body)
    },
    notice: ({ message, at }) => {
      if (isNoted) return
      isNoted = true
      log(
        `tessera: ${device.backend} cannot run all ops of this program; the host computes the rest, and what they read and give is copied. ` +
          `explain() lists them, createRuntime({ fallback: 'error' }) refuses them. The first one was ${message}${at === undefined ? '' : ` (${at})`}`,
      )
    },
  }
}

function evaluatorOn(host: Device, body: Subgraph): (inputs: readonly HostTensor[]) => readonly TypedArray[] {
  const options = { device: host, kernels: referenceKernels, passes: [], rules: {}, fuse: true }
  const compiled = compileGraph({ outputs: body.outputs }, () => [], options)
  if (compiled.kind !== 'program') throw new Error('loops and branches are steps of their own')
  const executable = host.compile(compiled.selection)
  const positions = compiled.leaves.map((leaf) => body.parameters.indexOf(leaf))
  const bytesOf = (tensor: Pick<HostTensor, 'shape' | 'dtype'>) => sizeOf(tensor.shape) * formatOf(tensor.dtype).bytes
  return (inputs) => {
    const sources = positions.map((position) => inputs[position]!)
    const buffers = [...sources, ...body.outputs].map((tensor) => host.allocate(bytesOf(tensor)))
    sources.forEach(({ data }, i) => {
      host.write(buffers[i]!, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    })
    executable.run(buffers)
    const results = body.outputs.map((output, i) => {
      const bytes = host.readNow!(buffers[sources.length + i]!, bytesOf(output))
      const { array } = formatOf(output.dtype)
      return new array(bytes.buffer, bytes.byteOffset, sizeOf(output.shape))
    })
    for (const buffer of buffers) host.free(buffer)
    return results
  }
}
