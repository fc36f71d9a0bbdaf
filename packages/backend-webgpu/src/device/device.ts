import type { Device, DeviceBuffer, Limits, SelectedProgram } from '@tessera/core'
import type { WebGpuEnvironment } from '../program/contract.ts'
import { bufferUsage, mapForReading } from './constants.ts'
import { WebGpuExecutable } from './executable.ts'
import type { Machine, WebGpuCounts } from './machine.ts'
import type { WebGpuBuffer } from './memory.ts'
import { patchTail } from './patch.ts'

/** The device of the backend `webgpu`. */
export class WebGpuDevice implements Device<'webgpu'> {
  readonly backend = 'webgpu'
  readonly variant: string
  readonly threads = 1
  readonly limits: Limits
  readonly #machine: Machine
  /** What keeps Dawn alive: it aborts the process when its entry point is collected before its devices. */
  readonly keptAlive: unknown

  constructor(machine: Machine, variant: string, keptAlive: unknown) {
    this.#machine = machine
    this.variant = variant
    this.limits = machine.limits
    this.keptAlive = keptAlive
  }

  /** The device of WebGPU itself, to share it with other code or to test what happens when it is lost. */
  get gpuDevice(): GPUDevice {
    return this.#machine.device
  }

  /** Features and limits that kernels choose by. */
  get environment(): WebGpuEnvironment {
    return this.#machine.environment
  }

  /** What the device has done since it was opened. */
  counts(): Readonly<WebGpuCounts> {
    return { ...this.#machine.counts }
  }

  memory(): { readonly usedBytes: number; readonly peakBytes: number } {
    const { usedBytes, peakBytes } = this.#machine.memory
    return { usedBytes, peakBytes }
  }

  allocate(byteLength: number): WebGpuBuffer {
    this.#machine.health.require('allocate')
    return this.#machine.memory.allocate(byteLength)
  }

  free(buffer: DeviceBuffer): void {
    const { memory, order } = this.#machine
    const own = memory.require(buffer, 'free')
    memory.release(own)
    order.enqueue(() => memory.give(own.memory))
  }

  write(buffer: DeviceBuffer, bytes: Uint8Array): void {
    const { health, memory, order, counts } = this.#machine
    health.require('write')
    const own = memory.requireBytes(buffer, bytes.byteLength, 'write')
    if (bytes.byteLength === 0) return
    counts.writtenBytes += bytes.byteLength
    const whole = bytes.byteLength - (bytes.byteLength % 4)
    // Queued or not, the caller may change its bytes afterwards; Dawn in Node does not take shared memory.
    const copy = bytes.slice()
    order.enqueue(() => {
      if (whole > 0) this.#machine.device.queue.writeBuffer(own.memory.gpu, 0, copy, 0, whole)
    })
    if (whole < bytes.byteLength) patchTail(this.#machine, own, copy, whole)
  }

  async read(buffer: DeviceBuffer, byteLength: number): Promise<Uint8Array<ArrayBuffer>> {
    const { device, health, memory, order, counts } = this.#machine
    health.require('read')
    const own = memory.requireBytes(buffer, byteLength, 'read')
    const size = 4 * Math.ceil(byteLength / 4)
    const staging = memory.take(size, bufferUsage.mapRead | bufferUsage.copyTarget)
    try {
      await new Promise<unknown>((resolve) =>
        order.enqueue(() => {
          if (size > 0) {
            const encoder = device.createCommandEncoder()
            encoder.copyBufferToBuffer(own.memory.gpu, 0, staging.gpu, 0, size)
            device.queue.submit([encoder.finish()])
          }
          resolve(staging.gpu.mapAsync(mapForReading, 0, size))
        }),
      )
    } catch (error) {
      health.require('read')
      throw error
    }
    const bytes = new Uint8Array(staging.gpu.getMappedRange(0, size).slice(0, byteLength))
    staging.gpu.unmap()
    memory.give(staging)
    health.require('read')
    counts.readBytes += byteLength
    return bytes
  }

  compile(program: SelectedProgram<'webgpu'>): WebGpuExecutable {
    this.#machine.health.require('compile')
    return new WebGpuExecutable(this.#machine, program)
  }

  async synchronize(): Promise<void> {
    const { device, health } = this.#machine
    health.require('synchronize')
    await this.#machine.drained()
    await device.queue.onSubmittedWorkDone()
    health.require('synchronize')
  }

  async close(): Promise<void> {
    const { device, health } = this.#machine
    if (health.isClosed) return
    health.close()
    device.destroy()
    await device.lost
  }
}
