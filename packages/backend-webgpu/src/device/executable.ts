import type { DeviceBuffer, Executable, OpCall, Operand, Program, ProgramBuffer, SelectedProgram } from '@tessera/core'
import { TesseraError } from '@tessera/core'
import { bytesMoved } from '../program/bytes.ts'
import type { MemoryRange, WebGpuDispatch } from '../program/contract.ts'
import { align, CallPlaces, ProgramConstants } from '../program/places.ts'
import { bufferUsage } from './constants.ts'
import type { Machine } from './machine.ts'
import type { PooledBuffer } from './memory.ts'
import type { CachedPipeline } from './pipelines.ts'
import { timePasses } from './timestamps.ts'

/** Dispatches after which what is recorded so far is handed over, so that the adapter starts while the rest is recorded. */
const dispatchesPerSubmit = 64
/** Sets of bound buffers that a dispatch keeps bind groups for. */
const keptBindGroups = 8

/** A dispatch of a program, ready to be recorded. */
interface Step {
  /** Position of the call that it belongs to. */
  readonly call: number
  readonly dispatch: WebGpuDispatch
  readonly pipeline: CachedPipeline
  /** Positions of the bound buffers that it uses. */
  readonly slots: readonly number[]
  /** Byte offset of its parameters. */
  readonly parameters: number
  /** By the numbers of the buffers. */
  readonly bindGroups: Map<string, GPUBindGroup>
  /** The one that was used last, and the buffers that it was for: most steps bind the same ones every time. */
  latest: GPUBindGroup | undefined
  readonly latestBound: PooledBuffer[]
}

/** A compiled program. Everything that does not depend on the bound buffers is made once. */
export class WebGpuExecutable implements Executable {
  readonly #machine: Machine
  readonly #program: Program
  readonly #calls: SelectedProgram<'webgpu'>['calls']
  readonly #steps: readonly Step[]
  readonly #parameters: GPUBuffer | undefined
  readonly #constants: GPUBuffer | undefined
  /** Bytes that each bound buffer must have. */
  readonly #sizes: readonly number[]
  /** For each bound buffer the position of the one whose memory it takes over, or −1. */
  readonly #donors: readonly number[]
  /** The workspace that bind groups were made for. */
  #workspace = 0
  /** Bytes that one run reads and writes. */
  readonly #movedBytes: number
  #isReady = false
  #disposed = false

  constructor(machine: Machine, selected: SelectedProgram<'webgpu'>) {
    const { program, calls } = selected
    const { environment, pipelines, limits } = machine
    this.#machine = machine
    this.#program = program
    this.#calls = calls
    const buffers = new Map(program.buffers.map((buffer) => [buffer.id, buffer]))
    const bound = [...program.inputs, ...program.outputs]
    this.#sizes = bound.map((id) => buffers.get(id)!.byteLength)
    this.#donors = bound.map((id) => program.inputs.indexOf(buffers.get(id)!.donatedFrom ?? -1))

    const { bindingAlignment } = environment.limits
    const scratchStart = align(program.arenaBytes, bindingAlignment)
    const constants = new ProgramConstants(environment.limits)
    let scratchBytes = 0
    let parameterBytes = 0
    const steps: Step[] = []
    calls.forEach(({ call: given, kernel }, index) => {
      const call: OpCall = { ...given, outputs: given.outputs.map((output) => inPlace(output, buffers)) }
      const places = new CallPlaces(program, call, scratchStart, environment.limits, constants)
      const plan = kernel.build(call, limits)(environment, places)
      scratchBytes = Math.max(scratchBytes, places.scratchBytes)
      for (const planned of plan.dispatches) {
        const dispatch = { ...planned, name: `${kernel.name}: ${planned.name}` }
        const slots = [...new Set(dispatch.bindings.flatMap(({ place, slot }) => (place === 'bound' ? [slot] : [])))]
        steps.push({
          call: index,
          dispatch,
          pipeline: pipelines.get(dispatch),
          slots,
          parameters: parameterBytes,
          bindGroups: new Map(),
          latest: undefined,
          latestBound: [],
        })
        parameterBytes += align(dispatch.parameters?.byteLength ?? 0, bindingAlignment)
      }
    })
    this.#steps = steps
    this.#movedBytes = calls.reduce((sum, { call }) => sum + bytesMoved(call), 0)
    const workspaceBytes = scratchStart + scratchBytes
    if (workspaceBytes > machine.maximumWorkspaceBytes) {
      throw new TesseraError(
        'OUT_OF_MEMORY',
        `webgpu: compile: the program's temporaries take ${workspaceBytes} bytes; a buffer of this adapter holds at most ` +
          `${machine.maximumWorkspaceBytes}. Use smaller batches, or recompute with checkpoint().`,
      )
    }
    this.#parameters = this.#upload(bufferUsage.uniform, parameterBytes, (words) => {
      for (const { dispatch, parameters } of steps)
        if (dispatch.parameters) words.set(dispatch.parameters, parameters / 4)
    })
    this.#constants = this.#upload(bufferUsage.storage, constants.byteLength, (words) => constants.copyTo(words))
    machine.workspace.reserve(this, workspaceBytes)
  }

  run(buffers: readonly DeviceBuffer[]): void {
    const bound = this.#bind(buffers)
    this.#machine.order.enqueue(() => this.#record(bound), this.#ready())
  }

  async profile(buffers: readonly DeviceBuffer[]): Promise<readonly number[]> {
    const bound = this.#bind(buffers)
    const { order } = this.#machine
    const passes = this.#calls.map((_, call) => this.#steps.filter((step) => step.call === call))
    return new Promise((resolve) =>
      order.enqueue(() => {
        const times = timePasses(this.#machine, passes, (pass, step) => this.#encode(pass, step, bound, false))
        // What is asked for meanwhile comes after the last call.
        order.holdUntil(times)
        resolve(times)
      }, this.#ready()),
    )
  }

  source(): string {
    const seen = new Set<string>()
    return this.#steps
      .flatMap(({ dispatch: { name, code } }) => {
        if (seen.has(code)) return []
        seen.add(code)
        return [`// ${name}\n${code}`]
      })
      .join('\n\n')
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    // Runs that wait for pipelines still need the workspace.
    this.#machine.order.enqueue(() => {
      this.#machine.workspace.release(this)
      this.#parameters?.destroy()
      this.#constants?.destroy()
    })
  }

  /** Resolves when all pipelines are compiled; `undefined` when they are. */
  #ready(): Promise<unknown> | undefined {
    if (this.#isReady) return undefined
    const pending = this.#steps.flatMap(({ pipeline }) => (pipeline.ready ? [pipeline.ready] : []))
    this.#isReady = pending.length === 0
    return this.#isReady ? undefined : Promise.all(pending)
  }

  #record(bound: readonly PooledBuffer[]): void {
    const { device, health, counts } = this.#machine
    if (health.isLost || health.isClosed) return
    counts.movedBytes += this.#movedBytes
    for (let start = 0; start < this.#steps.length; start += dispatchesPerSubmit) {
      const encoder = device.createCommandEncoder()
      const pass = encoder.beginComputePass()
      const end = Math.min(this.#steps.length, start + dispatchesPerSubmit)
      for (let i = start; i < end; i++) {
        // Neighbours often run one shader; setting it again would be checked again.
        const isSame = i > start && this.#steps[i]!.pipeline === this.#steps[i - 1]!.pipeline
        this.#encode(pass, this.#steps[i]!, bound, isSame)
      }
      pass.end()
      device.queue.submit([encoder.finish()])
      counts.submits++
    }
  }

  #encode(pass: GPUComputePassEncoder, step: Step, bound: readonly PooledBuffer[], hasPipeline: boolean): void {
    const { gpu } = step.pipeline
    // An invalid shader has been noted; the next read reports it.
    if (!gpu) return
    if (!hasPipeline) pass.setPipeline(gpu)
    pass.setBindGroup(0, this.#bindGroup(step, bound))
    const { workgroups } = step.dispatch
    pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2])
    this.#machine.counts.dispatches++
  }

  #bindGroup(step: Step, bound: readonly PooledBuffer[]): GPUBindGroup {
    const workspace = this.#machine.workspace.buffer()
    if (workspace.id !== this.#workspace) {
      this.#workspace = workspace.id
      for (const other of this.#steps) {
        other.bindGroups.clear()
        other.latest = undefined
      }
    }
    const { slots, latest, latestBound } = step
    if (latest) {
      let isSame = true
      for (let i = 0; isSame && i < slots.length; i++) isSame = latestBound[i] === bound[slots[i]!]
      if (isSame) return latest
    }
    slots.forEach((slot, i) => {
      latestBound[i] = bound[slot]!
    })
    const key = latestBound.map(({ id }) => id).join()
    step.latest = step.bindGroups.get(key) ?? this.#makeBindGroup(step, bound, key, workspace)
    return step.latest
  }

  #makeBindGroup(step: Step, bound: readonly PooledBuffer[], key: string, workspace: PooledBuffer): GPUBindGroup {
    const { dispatch, pipeline } = step
    const memoryOf = ({ place, slot }: MemoryRange): GPUBuffer => {
      if (place === 'bound') return bound[slot]!.gpu
      return place === 'constants' ? this.#constants! : workspace.gpu
    }
    const entries: GPUBindGroupEntry[] = dispatch.bindings.map((range, binding) => ({
      binding,
      resource: { buffer: memoryOf(range), offset: range.offset, size: Math.max(16, align(range.byteLength, 16)) },
    }))
    if (dispatch.parameters) {
      const resource = {
        buffer: this.#parameters!,
        offset: step.parameters,
        size: align(dispatch.parameters.byteLength, 16),
      }
      entries.push({ binding: entries.length, resource })
    }
    const group = this.#machine.device.createBindGroup({ layout: pipeline.layout, entries })
    if (step.bindGroups.size >= keptBindGroups) step.bindGroups.delete(step.bindGroups.keys().next().value!)
    step.bindGroups.set(key, group)
    this.#machine.counts.bindGroups++
    return group
  }

  /** A buffer that is written once; `undefined` if it has nothing in it. */
  #upload(usage: number, byteLength: number, write: (words: Uint32Array) => void): GPUBuffer | undefined {
    if (byteLength === 0) return undefined
    const buffer = this.#machine.device.createBuffer({ size: byteLength, usage, mappedAtCreation: true })
    write(new Uint32Array(buffer.getMappedRange()))
    buffer.unmap()
    return buffer
  }

  #bind(buffers: readonly DeviceBuffer[]): PooledBuffer[] {
    const { health, memory } = this.#machine
    health.require('run')
    if (this.#disposed) throw new TesseraError('DISPOSED', 'webgpu: run: the program was disposed. Compile it again.')
    if (buffers.length !== this.#sizes.length) {
      throw new TesseraError(
        'BINDINGS',
        `webgpu: run: the program has ${this.#program.inputs.length} inputs and ${this.#program.outputs.length} outputs, ` +
          `got ${buffers.length} buffers. Give inputs, then outputs.`,
      )
    }
    return buffers.map((buffer, i) => {
      const own = memory.require(buffer, 'run')
      if (own.byteLength < this.#sizes[i]!) {
        throw new TesseraError(
          'BINDINGS',
          `webgpu: run: buffer ${i} has ${own.byteLength} bytes, the program needs ${this.#sizes[i]}.`,
        )
      }
      const donor = this.#donors[i]!
      if (donor >= 0 && buffers[donor] !== buffer) {
        throw new TesseraError(
          'BINDINGS',
          `webgpu: run: buffer ${i} takes over the memory of buffer ${donor}: bind the same buffer to both.`,
        )
      }
      return own.memory
    })
  }
}

/** An output that takes over the memory of an input as an operand of that input's buffer, so that kernels see what they overwrite. */
function inPlace(output: Operand, buffers: ReadonlyMap<number, ProgramBuffer>): Operand {
  return { ...output, buffer: buffers.get(output.buffer)!.donatedFrom ?? output.buffer }
}
