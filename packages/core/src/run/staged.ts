import { TesseraError } from '../errors.ts'
import { formatOf } from '../graph/format.ts'
import { formatSpec, type Node } from '../graph/node.ts'
import { sizeOf } from '../graph/shape.ts'
import type { Device, DeviceBuffer, Executable } from '../plugin/contract.ts'
import type { Compiled, CompiledCall, CompiledStages, CompiledStep } from '../stages/compiled.ts'
import { inOrder } from './order.ts'

/** What a step asks for: the first bytes of a buffer, after all that ran before. */
interface Read {
  readonly buffer: DeviceBuffer
  readonly byteLength: number
}
type Steps = Generator<Read, void, Uint8Array<ArrayBuffer>>

/** As `Executable`; `run` gives a promise where something has to be waited for. */
export interface Runnable extends Omit<Executable, 'run'> {
  run(buffers: readonly DeviceBuffer[]): void | Promise<void>
}

/** Makes a compiled graph ready to run on a device: as one program, or step by step. */
export function makeRunnable(compiled: Compiled, device: Device): Runnable {
  const runnable =
    compiled.kind === 'program' ? device.compile(compiled.selection) : new StagedExecutable(compiled, device)
  if (device.readNow) return runnable
  return {
    run: (buffers) => runnable.run(buffers),
    profile: (buffers) => runnable.profile(buffers),
    ...('source' in runnable && runnable.source && { source: () => runnable.source!() }),
    // Runs that were asked for before may still wait.
    dispose: () => inOrder(device, () => runnable.dispose()),
  }
}

/** A function that may have to wait for data, on buffers for its leaves and outputs. */
interface Callable {
  /** The rest of the run, where there is anything to wait for. */
  run(buffers: readonly DeviceBuffer[]): Steps | undefined
  dispose(): void
}

function makeCallable(compiled: Compiled, device: Device): Callable {
  if (compiled.kind === 'stages') return new StagedExecutable(compiled, device).callable
  const executable = device.compile(compiled.selection)
  return {
    run: (buffers) => {
      executable.run(buffers)
      return undefined
    },
    dispose: () => executable.dispose(),
  }
}

/** A call with its slots. */
interface BoundCall {
  readonly callable: Callable
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
}

/** Buffers of the slots during a run. */
type Slots = DeviceBuffer[]

/**
 * Steps one after the other. A device that can read at once runs them all before `run` returns; others are waited for, while what is
 * asked for later waits its turn.
 */
class StagedExecutable implements Runnable {
  readonly #compiled: CompiledStages
  readonly #device: Device
  readonly #steps: readonly { run(slots: Slots): Steps; dispose(): void }[]
  /** Slots of the function's own values, and the steps at which each is first and last used. */
  readonly #lifetimes: readonly { readonly slot: number; readonly first: number; readonly last: number }[]

  constructor(compiled: CompiledStages, device: Device) {
    this.#compiled = compiled
    this.#device = device
    this.#steps = compiled.steps.map((step) => makeStep(step, compiled, device))
    const bound = compiled.leaves.length + compiled.donors.length
    const uses = compiled.steps.map((step) => new Set(slotsOf(step)))
    this.#lifetimes = compiled.slots.flatMap((_, slot) => {
      const steps = uses.flatMap((slots, at) => (slots.has(slot) ? [at] : []))
      return slot < bound || steps.length === 0 ? [] : [{ slot, first: steps[0]!, last: steps.at(-1)! }]
    })
  }

  readonly callable: Callable = {
    run: (buffers) => this.#run(buffers),
    dispose: () => this.dispose(),
  }

  run(buffers: readonly DeviceBuffer[]): void | Promise<void> {
    return drive(this.#device, this.#run(buffers))
  }

  async profile(buffers: readonly DeviceBuffer[]): Promise<readonly number[]> {
    const start = performance.now()
    await this.run(buffers)
    await this.#device.synchronize()
    return [1000 * (performance.now() - start)]
  }

  dispose(): void {
    for (const step of this.#steps) step.dispose()
  }

  *#run(buffers: readonly DeviceBuffer[]): Steps {
    const slots: Slots = [...buffers]
    const live = new Set<number>()
    try {
      for (const [at, step] of this.#steps.entries()) {
        for (const { slot, first } of this.#lifetimes) {
          if (first !== at) continue
          slots[slot] = this.#device.allocate(this.#compiled.slots[slot]!)
          live.add(slot)
        }
        yield* step.run(slots)
        for (const { slot, last } of this.#lifetimes) {
          if (last !== at) continue
          live.delete(slot)
          this.#device.free(slots[slot]!)
        }
      }
    } finally {
      for (const slot of live) this.#device.free(slots[slot]!)
    }
  }
}

function drive(device: Device, steps: Steps): void | Promise<void> {
  if (!device.readNow) return driveWaiting(device, steps)
  let { done, value } = steps.next()
  while (!done) {
    const { buffer, byteLength } = value as Read
    ;({ done, value } = steps.next(device.readNow(buffer, byteLength)))
  }
}

async function driveWaiting(device: Device, steps: Steps): Promise<void> {
  let { done, value } = steps.next()
  while (!done) {
    const { buffer, byteLength } = value as Read
    ;({ done, value } = steps.next(await device.read(buffer, byteLength)))
  }
}

function slotsOf(step: CompiledStep): readonly number[] {
  const ofCall = ({ inputs, outputs }: Omit<CompiledCall, 'compiled'>) => [...inputs, ...outputs]
  switch (step.kind) {
    case 'branch':
      return [step.predicate, ...ofCall(step.whenTrue), ...ofCall(step.whenFalse)]
    case 'loop': {
      const asked = typeof step.times === 'number' ? [] : [step.times.predicate, ...ofCall(step.times.test)]
      return [...asked, ...(step.counter === undefined ? [] : [step.counter]), ...ofCall(step.body)]
    }
    default:
      return ofCall(step)
  }
}

function makeStep(step: CompiledStep, { slots: sizes }: CompiledStages, device: Device) {
  const bind = ({ compiled, inputs, outputs }: CompiledCall): BoundCall => ({
    callable: makeCallable(compiled, device),
    inputs,
    outputs,
  })
  switch (step.kind) {
    case 'program': {
      const call = bind(step)
      return { run: (slots: Slots) => runCall(call, slots), dispose: () => call.callable.dispose() }
    }
    case 'host':
      return { run: (slots: Slots) => runOnHost(step, slots, device), dispose: () => {} }
    case 'branch': {
      const [whenTrue, whenFalse] = [bind(step.whenTrue), bind(step.whenFalse)]
      return {
        *run(slots: Slots): Steps {
          const [holds] = yield { buffer: slots[step.predicate]!, byteLength: 1 }
          yield* runCall(holds ? whenTrue : whenFalse, slots)
        },
        dispose: () => {
          whenTrue.callable.dispose()
          whenFalse.callable.dispose()
        },
      }
    }
    default: {
      const body = bind(step.body)
      const test = typeof step.times === 'number' ? undefined : bind(step.times.test)
      return {
        run: (slots: Slots) => runLoop(step, body, test, slots, sizes, device),
        dispose: () => {
          body.callable.dispose()
          test?.callable.dispose()
        },
      }
    }
  }
}

function* runCall({ callable, inputs, outputs }: BoundCall, slots: Slots): Steps {
  const rest = callable.run([...inputs, ...outputs].map((slot) => slots[slot]!))
  if (rest) yield* rest
}

function* runOnHost(
  { node, inputs, outputs }: Extract<CompiledStep, { kind: 'host' }>,
  slots: Slots,
  device: Device,
): Steps {
  const operands = []
  for (const [i, { shape, dtype }] of node.inputs.entries()) {
    const { array, bytes } = formatOf(dtype)
    const size = sizeOf(shape)
    const data = size === 0 ? new Uint8Array(0) : yield { buffer: slots[inputs[i]!]!, byteLength: size * bytes }
    operands.push({ shape, dtype, data: new array(data.buffer, data.byteOffset, size) })
  }
  const results = node.definition.host!(operands, node.attributes, node.outputs)
  node.outputs.forEach((spec, i) => {
    const data = requireResult(node, i, results[i])
    if (sizeOf(spec.shape) > 0) {
      device.write(slots[outputs[i]!]!, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    }
  })
}

function requireResult(node: Node, output: number, data: ArrayLike<number> | undefined) {
  const spec = node.outputs[output]!
  const { array } = formatOf(spec.dtype)
  if (data instanceof array && data.length === sizeOf(spec.shape)) return data
  const got = data === undefined ? 'nothing' : `${data.constructor.name} of ${data.length}`
  throw new TesseraError(
    'OP_DEFINITION',
    `${node.op}: host gave ${got} for output ${output}, ${formatSpec(spec)}. Give one ${array.name} for each output.`,
  )
}

function* runLoop(
  { times, counter, alternating }: Extract<CompiledStep, { kind: 'loop' }>,
  body: BoundCall,
  test: BoundCall | undefined,
  slots: Slots,
  sizes: readonly number[],
  device: Device,
): Steps {
  if (counter !== undefined) device.write(slots[counter]!, new Uint8Array(4))
  const buffers = [...body.inputs, ...body.outputs].map((slot) => slots[slot]!)
  // For each value that cannot be written in place: where the next one goes, and at which bindings it is read.
  const pairs = alternating.map(({ output, input }) => ({
    input,
    written: body.inputs.length + output,
    read: body.inputs.indexOf(input),
    spare: device.allocate(sizes[input]!),
  }))
  try {
    for (const pair of pairs) buffers[pair.written] = pair.spare
    if (test) yield* runCall(test, slots)
    for (let step = 0; typeof times !== 'number' || step < times; step++) {
      if (typeof times !== 'number') {
        const [goesOn] = yield { buffer: slots[times.predicate]!, byteLength: 1 }
        if (!goesOn) break
      }
      const rest = body.callable.run(buffers)
      if (rest) yield* rest
      for (const { written, read } of pairs) [buffers[written], buffers[read]] = [buffers[read]!, buffers[written]!]
    }
    for (const pair of pairs) {
      slots[pair.input] = buffers[pair.read]!
      pair.spare = buffers[pair.written]!
    }
  } finally {
    for (const { spare } of pairs) device.free(spare)
  }
}
