import type { DeviceBuffer, Executable, Operand, Program, ProgramBuffer, SelectedProgram } from '@tessera/core'
import { TesseraError } from '@tessera/core'
import { bindingSlots, type Linkage, link, measure, type PlannedCall } from '../program/link.ts'
import { liveBuffer } from './buffer.ts'
import type { Bindings, LinkedProgram, Machine } from './machine.ts'
import { printProgram } from './source.ts'

/** Runs one step as the threads that enter it. Tests play several threads, one after the other. */
export type StepRunner = (runStep: (thread: number, threads: number) => void) => void

/** Microseconds of work from which on threads share a call, and those of all such calls from which on workers are called. */
const leastSharedWork = 4
const leastProgramWork = 20

/** A compiled program. */
export class WasmExecutable implements Executable {
  readonly #machine: Machine
  readonly #selected: SelectedProgram<'wasm'>
  readonly #linkage: Linkage
  readonly #calls: readonly PlannedCall[]
  /** Address of the data of all calls; the counters of units and the bindings table follow it. */
  readonly #data: number
  readonly #bindings: Bindings
  readonly #linked: LinkedProgram
  /** Bytes that each bound buffer must have. */
  readonly #sizes: readonly number[]
  /** For each bound buffer the position of the one whose memory it takes over, or −1. */
  readonly #donors: readonly number[]
  /** Address of the memory that outlives runs, 0 where there is none, and whether a run has filled it. */
  readonly #kept: number
  #isFilled = false
  #disposed = false

  constructor(machine: Machine, selected: SelectedProgram<'wasm'>) {
    const { program } = selected
    const { library, limits, threads, memory } = machine
    const target = { variant: library.variant, sharedMemory: library.sharedMemory, threads }
    this.#machine = machine
    this.#selected = selected
    requireRoom(program, machine)
    const buffers = new Map(program.buffers.map((buffer) => [buffer.id, buffer]))
    // What one thread would take, roughly.
    const works = selected.calls.map(
      ({ estimatedMicroseconds }) => Math.max(0, estimatedMicroseconds - limits.microsecondsPerCall) * threads,
    )
    const shared = works.filter((work) => work >= leastSharedWork).reduce((sum, work) => sum + work, 0)
    this.#calls = selected.calls.map(({ call: given, kernel }, index) => {
      const call = { ...given, outputs: given.outputs.map((output) => inPlace(output, buffers)) }
      const isAlone = !machine.sharesAll && (shared < leastProgramWork || works[index]! < leastSharedWork)
      return { call, plan: kernel.build(call, limits)(target), isAlone }
    })
    const bound = [...program.inputs, ...program.outputs]
    this.#sizes = bound.map((id) => buffers.get(id)!.byteLength)
    this.#donors = bound.map((id) => program.inputs.indexOf(buffers.get(id)!.donatedFrom ?? -1))
    const { counterOffset, counterBytes } = measure(this.#calls)
    const tableWords = bindingSlots.buffers + bound.length
    this.#data = memory.allocate(counterOffset + counterBytes + 4 * tableWords)
    this.#bindings = {
      address: this.#data + counterOffset + counterBytes,
      words: new Int32Array(counterBytes / 4 + tableWords),
      wordsAddress: this.#data + counterOffset,
    }
    try {
      this.#linkage = link(program, this.#calls, library, this.#data)
      library.require(this.#linkage.functions)
      const { keptBytes } = this.#linkage
      this.#kept = keptBytes > 0 ? memory.allocate(keptBytes) : 0
      this.#linked = machine.instantiate(this.#linkage, machine.sharesAll ? Number.POSITIVE_INFINITY : shared)
    } catch (error) {
      memory.free(this.#data)
      throw error
    }
    this.#calls.forEach(({ plan: { data } }, index) => {
      if (!data) return
      const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
      machine.write(this.#data + this.#linkage.dataOffsets[index]!, bytes)
    })
    machine.reserveWorkspace(this, this.#scratchEnd())
  }

  run(buffers: readonly DeviceBuffer[]): void {
    this.#bind(buffers)
    this.#machine.run(this.#linked, this.#bindings)
    if (!this.#isFilled && this.#kept !== 0) this.#rememberFilled()
  }

  /** What a run keeps for the next ones is there once the run is over. */
  #rememberFilled(): void {
    const remember = () => {
      this.#isFilled = true
    }
    if (this.#machine.runsAtOnce) remember()
    else this.#machine.synchronize().then(remember, () => {})
  }

  async profile(buffers: readonly DeviceBuffer[]): Promise<readonly number[]> {
    this.#bind(buffers)
    return this.#timesOfCalls(await this.#machine.profile(this.#linked, this.#bindings))
  }

  /** As `profile`, with a runner that says which threads enter each step. */
  profileSteps(buffers: readonly DeviceBuffer[], runner: StepRunner): number[] {
    const { entries, aloneSteps } = this.#linked
    this.#bind(buffers)
    const { address, words, wordsAddress } = this.#bindings
    this.#machine.memory.words.set(words, wordsAddress >>> 2)
    const times = aloneSteps.map((_, step) => {
      const start = performance.now()
      runner((thread, threads) => entries!.runStep(step, address, thread, threads))
      return 1000 * (performance.now() - start)
    })
    return this.#timesOfCalls(times)
  }

  /** The sums over the steps of each call. */
  #timesOfCalls(times: readonly number[]): number[] {
    const { firstStep } = this.#linkage
    return this.#calls.map((_, call) =>
      times.slice(firstStep[call]!, firstStep[call + 1]!).reduce((sum, time) => sum + time, 0),
    )
  }

  source(): string {
    return printProgram(this.#machine.library, this.#linkage)
  }

  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#machine.forget(this.#linked)
    this.#machine.releaseWorkspace(this)
    this.#machine.memory.free(this.#data)
    if (this.#kept !== 0) this.#machine.memory.free(this.#kept)
  }

  /** Fills in the bindings table. */
  #bind(buffers: readonly DeviceBuffer[]): void {
    const machine = this.#machine
    machine.requireOpen('run')
    if (this.#disposed) throw new TesseraError('DISPOSED', 'wasm: run: the program was disposed. Compile it again.')
    if (buffers.length !== this.#sizes.length) {
      throw new TesseraError(
        'BINDINGS',
        `wasm: run: the program has ${this.#selected.program.inputs.length} inputs and ${this.#selected.program.outputs.length} outputs, ` +
          `got ${buffers.length} buffers. Give inputs, then outputs.`,
      )
    }
    const workspace = machine.workspace()
    const table = this.#linkage.counterBytes / 4
    const { words } = this.#bindings
    const { arenaBytes } = this.#selected.program
    words[table + bindingSlots.arena] = workspace
    words[table + bindingSlots.sharedScratch] = workspace + roundUp(arenaBytes)
    words[table + bindingSlots.threadScratch] = workspace + roundUp(arenaBytes) + this.#linkage.sharedScratchBytes
    words[table + bindingSlots.kept] = this.#kept
    words[table + bindingSlots.isFilled] = this.#isFilled ? 1 : 0
    for (let i = 0; i < buffers.length; i++) {
      const buffer = liveBuffer(machine, buffers[i]!, `run: buffer ${i}`)
      if (buffer.byteLength < this.#sizes[i]!) {
        throw new TesseraError(
          'BINDINGS',
          `wasm: run: buffer ${i} has ${buffer.byteLength} bytes, the program needs ${this.#sizes[i]}.`,
        )
      }
      const donor = this.#donors[i]!
      if (donor >= 0 && buffers[donor] !== buffer) {
        throw new TesseraError(
          'BINDINGS',
          `wasm: run: buffer ${i} takes over the memory of buffer ${donor}: bind the same buffer to both.`,
        )
      }
      words[table + bindingSlots.buffers + i] = buffer.address
    }
  }

  /** Bytes of the arena and of all scratch memory. */
  #scratchEnd(): number {
    const { sharedScratchBytes, threadScratchBytes } = this.#linkage
    return roundUp(this.#selected.program.arenaBytes) + sharedScratchBytes + this.#machine.threads * threadScratchBytes
  }
}

/** Refuses at once what no memory of the device could hold; addresses in code for it would not fit either. */
function requireRoom({ arenaBytes, buffers }: Program, { memory }: Machine): void {
  const largest = buffers.reduce(
    (most, { role, byteLength }) => (role === 'temporary' ? most : Math.max(most, byteLength)),
    0,
  )
  if (arenaBytes + largest <= memory.maximumBytes) return
  throw new TesseraError(
    'OUT_OF_MEMORY',
    `wasm: cannot run a program that plans ${arenaBytes} bytes for what it computes on the way, and ${largest} bytes for its largest ` +
      `argument or result: ${memory.usedBytes} bytes are in use and the memory may hold ${memory.maximumBytes}. ` +
      'Make the batch smaller, checkpoint activations, or compute in parts.',
  )
}

/** An output that takes over the memory of an input as an operand of that input's buffer, so that kernels see what they overwrite. */
function inPlace(output: Operand, buffers: ReadonlyMap<number, ProgramBuffer>): Operand {
  return { ...output, buffer: buffers.get(output.buffer)!.donatedFrom ?? output.buffer }
}

const roundUp = (bytes: number): number => Math.ceil(bytes / 64) * 64
