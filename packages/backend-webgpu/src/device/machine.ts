import type { Limits } from '@tessera/core'
import type { WebGpuEnvironment } from '../program/contract.ts'
import { Health } from './health.ts'
import { DeviceMemory, Workspace } from './memory.ts'
import { WorkOrder } from './order.ts'
import { type CompileProgress, PipelineCache } from './pipelines.ts'

/** What was done so far: for profiles and tests. */
export interface WebGpuCounts {
  /** Dispatches of compute shaders recorded. */
  dispatches: number
  /** Command buffers handed to the queue by runs. */
  submits: number
  /** Bytes that the calls run so far read and write, each operand once. */
  movedBytes: number
  /** Bind groups made. */
  bindGroups: number
  /** Bytes written to, and read from, the device by the host. */
  writtenBytes: number
  readBytes: number
}

/** What the parts of a device share. */
export class Machine {
  readonly device: GPUDevice
  readonly environment: WebGpuEnvironment
  readonly limits: Limits
  readonly maximumWorkspaceBytes: number
  readonly health: Health
  readonly memory: DeviceMemory
  readonly workspace: Workspace
  readonly order = new WorkOrder()
  readonly pipelines: PipelineCache
  readonly counts: WebGpuCounts = {
    dispatches: 0,
    submits: 0,
    movedBytes: 0,
    bindGroups: 0,
    writtenBytes: 0,
    readBytes: 0,
  }

  constructor(
    device: GPUDevice,
    environment: WebGpuEnvironment,
    limits: Limits,
    onCompile?: (progress: CompileProgress) => void,
  ) {
    this.device = device
    this.environment = environment
    this.limits = limits
    this.maximumWorkspaceBytes = device.limits.maxBufferSize
    this.health = new Health(device)
    this.memory = new DeviceMemory(device, limits.maximumBufferBytes)
    this.workspace = new Workspace(this.memory)
    this.pipelines = new PipelineCache(device, this.health, onCompile)
  }

  /** Resolves when all work asked for so far has been handed over, and `ready` has resolved. */
  drained(ready?: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => this.order.enqueue(resolve, ready))
  }
}
