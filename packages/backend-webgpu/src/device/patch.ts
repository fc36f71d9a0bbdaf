import type { WebGpuDispatch } from '../program/contract.ts'
import { bufferUsage } from './constants.ts'
import type { Machine } from './machine.ts'
import type { WebGpuBuffer } from './memory.ts'

const code = `@group(0) @binding(0) var<storage, read_write> words: array<u32>;
struct Patch { word: u32, mask: u32, bits: u32, unused: u32 }
@group(0) @binding(1) var<uniform> patchOf: Patch;
@compute @workgroup_size(1)
fn main() { words[patchOf.word] = (words[patchOf.word] & ~patchOf.mask) | patchOf.bits; }`

/**
 * Writes the bytes from `start` on, fewer than four, and leaves the rest of their word as it is: the queue writes whole words only.
 */
export function patchTail(machine: Machine, buffer: WebGpuBuffer, bytes: Uint8Array, start: number): void {
  const { device, order, pipelines } = machine
  const tail = new Uint8Array(4)
  tail.set(bytes.subarray(start))
  if (bytes.byteLength === buffer.byteLength) {
    order.enqueue(() => device.queue.writeBuffer(buffer.memory.gpu, start, tail))
    return
  }
  const mask = 2 ** (8 * (bytes.byteLength - start)) - 1
  const bits = new DataView(tail.buffer).getUint32(0, true)
  const parameters = Uint32Array.of(start / 4, mask, bits, 0)
  const words = { place: 'bound', slot: 0, offset: 0, byteLength: buffer.byteLength, access: 'read_write' } as const
  const dispatch: WebGpuDispatch = {
    name: 'write of part of a word',
    code,
    bindings: [words],
    parameters,
    workgroups: [1, 1, 1],
  }
  const pipeline = pipelines.get(dispatch)
  order.enqueue(() => {
    if (!pipeline.gpu) return
    const uniform = device.createBuffer({ size: 16, usage: bufferUsage.uniform, mappedAtCreation: true })
    new Uint32Array(uniform.getMappedRange()).set(parameters)
    uniform.unmap()
    const entries = [buffer.memory.gpu, uniform].map((memory, binding) => ({ binding, resource: { buffer: memory } }))
    const encoder = device.createCommandEncoder()
    const pass = encoder.beginComputePass()
    pass.setPipeline(pipeline.gpu)
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.layout, entries }))
    pass.dispatchWorkgroups(1)
    pass.end()
    device.queue.submit([encoder.finish()])
    uniform.destroy()
  }, pipeline.ready)
}
