import type { OpCall, Operand, Program } from '@tessera/core'
import { formatOf, TesseraError } from '@tessera/core'
import type { Expression, FunctionBuilder, FunctionHandle, Local } from '../assembler/index.ts'
import { atomic, callIndirect, f32, i32, ModuleBuilder } from '../assembler/index.ts'
import type {
  WasmArgument,
  WasmCallPlan,
  WasmEnvironment,
  WasmFunction,
  WasmInvocation,
  WasmParameters,
  WasmStep,
} from './contract.ts'
import { createEnvironment, type FunctionLibrary, importDevice } from './library.ts'

/**
 * The bindings table of a program: words in memory that are written before each run. First the addresses of the arena and of both
 * kinds of scratch memory, that of the memory that is kept and whether it is filled (0 or 1), then those of the program's inputs and outputs.
 */
export const bindingSlots = { arena: 0, sharedScratch: 1, threadScratch: 2, kept: 3, isFilled: 4, buffers: 5 } as const

/** Parameters of a program's entry points. `bindings` is the address of the bindings table. */
const entryParameters = { bindings: 'i32', thread: 'i32', threads: 'i32' } as const
type EntryLocals = { readonly [Name in keyof typeof entryParameters]: Local<'i32'> }

/** A call with its plan. */
export interface PlannedCall {
  readonly call: OpCall
  readonly plan: WasmCallPlan
  /** True when thread 0 runs the call by itself: sharing so little work, and waiting for each other, would take longer. */
  readonly isAlone?: boolean
}

/** Where each call's steps and data are in the linked program. */
export interface Linkage {
  readonly module: ModuleBuilder
  /** Functions to import, by name. */
  readonly functions: readonly WasmFunction[]
  /** First step of each call, and the number of steps at the end. */
  readonly firstStep: readonly number[]
  /** For each step whether thread 0 runs it by itself. */
  readonly aloneSteps: readonly boolean[]
  /** Position of each call's data, and the size of all data at the end. */
  readonly dataOffsets: readonly number[]
  /** Where the counters of units begin, after the data, and their bytes; they must be 0 when a run begins. */
  readonly counterOffset: number
  readonly counterBytes: number
  readonly bindingCount: number
  readonly sharedScratchBytes: number
  readonly threadScratchBytes: number
  /** Where each call's kept memory begins, `undefined` where it has none that outlives a run; and the bytes of all of it. */
  readonly keptOffsets: readonly (number | undefined)[]
  readonly keptBytes: number
}

/** Bytes from counter to counter: each has a cache line of its own. */
const counterStep = 64

/** Sizes that must be known before addresses are: of the data of all calls and of their scratch memory. */
export function measure(
  calls: readonly PlannedCall[],
): Pick<
  Linkage,
  | 'dataOffsets'
  | 'counterOffset'
  | 'counterBytes'
  | 'sharedScratchBytes'
  | 'threadScratchBytes'
  | 'keptOffsets'
  | 'keptBytes'
> {
  const dataOffsets = [0]
  let sharedScratchBytes = 0
  let threadScratchBytes = 0
  let keptBytes = 0
  const keptOffsets: (number | undefined)[] = []
  for (const { call, plan } of calls) {
    const isKept = plan.kept?.inputs.every((index) => call.inputs[index]?.isConstant) ?? false
    keptOffsets.push(isKept ? keptBytes : undefined)
    if (isKept) keptBytes += roundUp(plan.kept!.bytes, 64)
    dataOffsets.push(dataOffsets.at(-1)! + roundUp(plan.data?.byteLength ?? 0, 16))
    sharedScratchBytes = Math.max(sharedScratchBytes, ownSharedBytes(plan) + (isKept ? 0 : (plan.kept?.bytes ?? 0)))
    threadScratchBytes = Math.max(threadScratchBytes, plan.threadScratchBytes ?? 0)
  }
  const counters = calls.flatMap(({ plan }) => plan.steps.filter(({ units }) => units !== undefined)).length
  return {
    dataOffsets,
    counterOffset: roundUp(dataOffsets.at(-1)!, counterStep),
    counterBytes: counters * counterStep,
    sharedScratchBytes: roundUp(sharedScratchBytes, 64),
    threadScratchBytes: roundUp(threadScratchBytes, 64),
    keptOffsets,
    keptBytes,
  }
}

/** Bytes of a call's own shared scratch memory, after which memory follows that could not be kept. */
const ownSharedBytes = ({ sharedScratchBytes = 0 }: WasmCallPlan): number => roundUp(sharedScratchBytes, 64)

/**
 * Emits the program's module: `run(bindings, thread, threads)` executes all steps with a barrier wherever one reads or writes what
 * another thread may still be working on; `runStep(step, bindings, thread, threads)` executes one step.
 */
export function link(
  program: Program,
  calls: readonly PlannedCall[],
  library: FunctionLibrary,
  dataAddress: number,
): Linkage {
  const sizes = measure(calls)
  const functions = new Map<string, WasmFunction>()
  for (const { plan } of calls) {
    for (const step of plan.steps) for (const { function: used } of invocationsOf(step)) functions.set(used.name, used)
  }
  const module = new ModuleBuilder()
  const check = importDevice(module, library.sharedMemory)
  const imported = new Map<string, FunctionHandle<WasmParameters, 'void'>>()
  for (const { name, parameters } of functions.values()) {
    imported.set(name, module.importFunction('library', name, parameters, 'void'))
  }
  const addresses = new OperandAddresses(program)
  const steps: FunctionHandle<typeof entryParameters, 'void'>[] = []
  const firstStep: number[] = []
  let counter = dataAddress + sizes.counterOffset
  calls.forEach(({ call, plan }, index) => {
    firstStep.push(steps.length)
    for (const step of plan.steps) {
      const name = `${steps.length} ${call.op} ${step.function.name}`
      const emitted = module.function(name, entryParameters, 'void', (fn, entry) => {
        const invoke = (unit: Expression<'i32'>) => {
          for (const { function: target, arguments: list } of invocationsOf(step)) {
            const context = {
              addresses,
              entry,
              unit,
              dataAddress: dataAddress + sizes.dataOffsets[index]!,
              threadScratchBytes: sizes.threadScratchBytes,
              kept: sizes.keptOffsets[index],
              unkept: ownSharedBytes(plan),
            }
            fn.call(imported.get(target.name)!, stepArguments(call, target, list, context))
          }
        }
        if (step.units === undefined) invoke(i32.const(0))
        else emitUnits(fn, step.units, library.sharedMemory ? counter : undefined, invoke)
      })
      if (step.units !== undefined) counter += counterStep
      steps.push(emitted)
    }
  })
  firstStep.push(steps.length)
  const aloneSteps = calls.flatMap(({ plan, isAlone = false }) => plan.steps.map(() => isAlone))
  const barrier = () => createEnvironment(module, library.variant, check).barrier()
  const filling = calls.flatMap(({ plan }, index) =>
    plan.steps.map((_, step) => sizes.keptOffsets[index] !== undefined && step < plan.kept!.steps),
  )
  emitEntries(module, barrier, steps, { aloneSteps, filling, barriers: barriersBefore(program, calls) })
  return {
    ...sizes,
    module,
    functions: [...functions.values()],
    firstStep,
    aloneSteps,
    bindingCount: bindingSlots.buffers + program.inputs.length + program.outputs.length,
  }
}

const invocationsOf = (step: WasmStep): readonly WasmInvocation[] => [step, ...(step.after ?? [])]

/** Calls `invoke` for units, each of which a thread takes from the counter at an address. Without one, there is one thread. */
function emitUnits(
  fn: FunctionBuilder<typeof entryParameters, 'void'>,
  units: number,
  counter: number | undefined,
  invoke: (unit: Expression<'i32'>) => void,
): void {
  if (counter === undefined) {
    fn.forRange(0, units, 1, invoke)
    return
  }
  fn.block((leave) => {
    fn.loop((next) => {
      const unit = fn.local('i32', 'unit', atomic.add(counter, 1))
      fn.branchIf(leave, i32.geU(unit, units))
      invoke(unit)
      fn.branch(next)
    })
  })
}

/** What holds for the steps of a program, by their number. */
interface StepKinds {
  /** Thread 0 runs it by itself. */
  readonly aloneSteps: readonly boolean[]
  /** It fills memory that is kept, so it runs once. */
  readonly filling: readonly boolean[]
  /** All threads wait for each other before it. */
  readonly barriers: ReadonlySet<number>
}

function emitEntries(
  module: ModuleBuilder,
  defineBarrier: WasmEnvironment['barrier'],
  steps: readonly FunctionHandle<typeof entryParameters, 'void'>[],
  { aloneSteps, filling, barriers }: StepKinds,
): void {
  const barrier = defineBarrier()
  module.export(
    module.function('run', entryParameters, 'void', (fn, { bindings, thread, threads }) => {
      steps.forEach((step, index) => {
        if (barrier && barriers.has(index)) fn.call(barrier, { threads })
        const call = () => {
          if (aloneSteps[index]) fn.if(i32.eqz(thread), () => fn.call(step, { bindings, thread, threads: 1 }))
          else fn.call(step, { bindings, thread, threads })
        }
        if (filling[index]) fn.if(i32.eqz(i32.load(bindings, 4 * bindingSlots.isFilled)), call)
        else call()
      })
    }),
  )
  module.table(steps as unknown as readonly FunctionHandle[])
  const signature = module.signature(entryParameters, 'void')
  module.export(
    module.function(
      'runStep',
      { step: 'i32', ...entryParameters },
      'void',
      (fn, { step, bindings, thread, threads }) => {
        fn.run(callIndirect(signature, step, { bindings, thread, threads }))
      },
    ),
  )
}

interface ArgumentContext {
  readonly addresses: OperandAddresses
  readonly entry: EntryLocals
  readonly unit: Expression<'i32'>
  readonly dataAddress: number
  readonly threadScratchBytes: number
  /** Where the call's kept memory begins, or else in the shared scratch memory what takes its place. */
  readonly kept: number | undefined
  readonly unkept: number
}

function stepArguments(
  call: OpCall,
  target: WasmFunction,
  list: readonly WasmArgument[],
  context: ArgumentContext,
): Record<string, Expression<'i32'> | Expression<'f32'>> {
  const names = Object.keys(target.parameters)
  if (names.length !== list.length) {
    throw new TesseraError(
      'KERNEL_ARGUMENTS',
      `wasm: kernel for ${call.op}: function '${target.name}' takes ${names.length} arguments (${names.join(', ')}), the step gives ${list.length}.`,
    )
  }
  const given: Record<string, Expression<'i32'> | Expression<'f32'>> = {}
  list.forEach((argument, position) => {
    const name = names[position]!
    const value = argumentValue(call, argument, context)
    if (!value || value.type !== target.parameters[name]) {
      throw new TesseraError(
        'KERNEL_ARGUMENTS',
        `wasm: kernel for ${call.op}: parameter '${name}' of '${target.name}' is ${target.parameters[name]}, the step gives ${JSON.stringify(argument)}.`,
      )
    }
    given[name] = value
  })
  return given
}

function argumentValue(
  call: OpCall,
  argument: WasmArgument,
  { addresses, entry, unit, dataAddress, threadScratchBytes, kept, unkept }: ArgumentContext,
): Expression<'i32'> | Expression<'f32'> | undefined {
  const { bindings, thread, threads } = entry
  const slot = (index: number) => i32.load(bindings, 4 * index)
  switch (argument.kind) {
    case 'input':
    case 'output': {
      const operand = (argument.kind === 'input' ? call.inputs : call.outputs)[argument.index]
      return operand && addresses.of(operand, bindings, argument.byteOffset ?? 0)
    }
    case 'data':
      return i32.const(dataAddress + (argument.byteOffset ?? 0))
    case 'sharedScratch':
      return plus(slot(bindingSlots.sharedScratch), argument.byteOffset ?? 0)
    case 'threadScratch':
      return plus(
        i32.add(slot(bindingSlots.threadScratch), i32.mul(thread, threadScratchBytes)),
        argument.byteOffset ?? 0,
      )
    case 'kept':
      return kept === undefined
        ? plus(slot(bindingSlots.sharedScratch), unkept + (argument.byteOffset ?? 0))
        : plus(slot(bindingSlots.kept), kept + (argument.byteOffset ?? 0))
    case 'thread':
      return thread
    case 'threads':
      return threads
    case 'unit':
      return unit
    case 'i32':
      return i32.const(argument.value)
    case 'f32':
      return f32.const(argument.value)
  }
}

/** Where a program's operands are: in the arena, or behind a binding. */
class OperandAddresses {
  readonly #slots = new Map<number, { slot: number; offset: number }>()

  constructor(program: Program) {
    for (const buffer of program.buffers) {
      if (buffer.role === 'temporary')
        this.#slots.set(buffer.id, { slot: bindingSlots.arena, offset: buffer.offset ?? 0 })
    }
    ;[...program.inputs, ...program.outputs].forEach((id, index) => {
      this.#slots.set(id, { slot: bindingSlots.buffers + index, offset: 0 })
    })
  }

  of(operand: Operand, bindings: Local<'i32'>, byteOffset: number): Expression<'i32'> {
    const place = this.#slots.get(operand.buffer)
    if (!place) throw new TesseraError('INTERNAL', `wasm: buffer ${operand.buffer} is neither bound nor in the arena.`)
    const offset = place.offset + operand.view.offset * formatOf(operand.dtype).bytes + byteOffset
    return plus(i32.load(bindings, 4 * place.slot), offset)
  }
}

const plus = (address: Expression<'i32'>, offset: number): Expression<'i32'> =>
  offset === 0 ? address : i32.add(address, offset)
const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple

/** Bytes of memory that a call reads or writes: `[start, end)` of one binding, of the arena or of the scratch memory. */
interface Region {
  readonly space: number | 'arena' | 'scratch'
  readonly start: number
  readonly end: number
  readonly written: boolean
  /** True when only thread 0 reads or writes it. */
  readonly isAlone: boolean
}

/** The steps that must wait for all threads to have ended the steps before. */
export function barriersBefore(program: Program, calls: readonly PlannedCall[]): Set<number> {
  const buffers = new Map(program.buffers.map((buffer) => [buffer.id, buffer]))
  const regionOf = ({ buffer }: Operand, written: boolean, isAlone: boolean): Region => {
    const { role, offset = 0, byteLength, donatedFrom } = buffers.get(buffer)!
    if (role === 'temporary') return { space: 'arena', start: offset, end: offset + byteLength, written, isAlone }
    return { space: donatedFrom ?? buffer, start: 0, end: byteLength, written, isAlone }
  }
  const barriers = new Set<number>()
  let recent: Region[] = []
  let step = 0
  for (const { call, plan, isAlone = false } of calls) {
    if (plan.steps.length === 0) continue
    const regions = [
      ...call.inputs.map((operand) => regionOf(operand, false, isAlone)),
      ...call.outputs.map((operand) => regionOf(operand, true, isAlone)),
    ]
    const scratchEnd = ownSharedBytes(plan) + (plan.kept?.bytes ?? 0)
    if (scratchEnd > 0) regions.push({ space: 'scratch', start: 0, end: scratchEnd, written: true, isAlone })
    if (regions.some((region) => recent.some((other) => conflict(region, other)))) {
      barriers.add(step)
      recent = []
    }
    const innerBarriers = isAlone ? 0 : plan.steps.length - 1
    for (let inner = 1; inner <= innerBarriers; inner++) barriers.add(step + inner)
    recent = innerBarriers > 0 ? regions : recent.concat(regions)
    step += plan.steps.length
  }
  return barriers
}

function conflict(a: Region, b: Region): boolean {
  return (
    !(a.isAlone && b.isAlone) && a.space === b.space && (a.written || b.written) && a.start < b.end && b.start < a.end
  )
}
