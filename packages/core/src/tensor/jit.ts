import { TesseraError } from '../errors.ts'
import { leaf } from '../graph/build.ts'
import { formatSpec, type Node } from '../graph/node.ts'
import { type PreparedProgram, prepare, realizeNodes } from '../run/evaluate.ts'
import { setLeafValue } from '../run/storage.ts'
import { isPackedBy, type Packing, packedInputs, packingOf, unpackedOutput } from './packing.ts'
import type { PolicyRewrite, PolicyState, ProgramPolicy } from './policy.ts'
import { isRecording, recording } from './record.ts'
import { Arguments, type Place, Signature } from './signature.ts'
import { Tensor } from './tensor.ts'
import { type Branch, mapTensors, type Path, tensorsIn, visitTree } from './tree.ts'

export interface JitOptions {
  /** Name in explanations and traces. */
  readonly name?: string
  /** Most signatures to keep compiled; the least recently used goes first. */
  readonly cacheSize?: number
  /** Rewrites what the function computes, for example to round its values to a number format. */
  readonly policy?: ProgramPolicy | undefined
}

/** A traced function: call it like the function itself. */
export interface Jitted<Parameters extends unknown[], Result> {
  (...args: Parameters): Result
  /** Signatures compiled so far. */
  readonly compilations: number
  /** Which graph, which kernels, which memory: of the last signature used; from debug level 2 on, also what each call took. */
  explain(): string
}

/** A place in the arguments that holds a tensor. */
interface Slot {
  readonly owner: Record<string | number, unknown>
  readonly key: string | number
  readonly path: Path
}

interface Trace {
  readonly signature: Signature
  readonly program: PreparedProgram
  /** Program outputs that are written back: their places, several where one tensor stands in several. */
  readonly updates: readonly (readonly Place[])[]
  readonly result: unknown
  /** What the policy threads from call to call, and whether its rewriting still holds. */
  readonly state: readonly PolicyState[]
  /** Arguments and outputs whose memory holds another form of them. */
  readonly packing: Packing
  isCurrent(): boolean
}

/**
 * Traces a function once for each signature of its arguments and afterwards runs the compiled program.
 *
 * Arguments are tensors and trees of tensors: modules, optimizers, records, arrays. Tensors that the function assigns onto
 * them are outputs of the program, written back when it has run; the memory of what they replace is taken over. Numbers and
 * other values are static: a new value means a new trace, so pass what changes at each call as a tensor.
 *
 * @example
 * ```ts
 * import { jit, tensor, type Tensor } from '@tessera/core'
 * const counter = { total: tensor(0) }
 * const count = jit((state: { total: Tensor }, by: Tensor) => {
 *   state.total = state.total.add(by)
 * })
 * count(counter, tensor(2))
 * count(counter, tensor(3))
 * console.log(await counter.total.item(), count.compilations) // 5, 1
 * ```
 */
export function jit<Parameters extends unknown[], Result>(
  body: (...args: Parameters) => Result,
  options: JitOptions = {},
): Jitted<Parameters, Result> {
  /** The most recently used first. */
  const traces: Trace[] = []
  const cacheSize = options.cacheSize ?? 32
  const met = new Arguments()
  let compilations = 0

  const find = (args: Parameters): Trace => {
    const position = traces.findIndex((trace) => trace.isCurrent() && trace.signature.matches(args, met))
    if (position === 0) return traces[0]!
    const [known] = position < 0 ? [] : traces.splice(position, 1)
    const trace = known ?? make(args)
    traces.unshift(trace)
    return trace
  }
  const make = (args: Parameters): Trace => {
    for (const outdated of traces.filter((trace) => !trace.isCurrent())) {
      outdated.program.dispose()
      traces.splice(traces.indexOf(outdated), 1)
    }
    const trace = traceFunction(options.name ?? (body.name || 'jit'), body, args, met, options.policy)
    compilations++
    if (traces.length >= cacheSize) traces.pop()?.program.dispose()
    return trace
  }
  const run = (...args: Parameters): Result => {
    // Inside another transform the function's ops become part of what that one records.
    if (isRecording()) return body(...args)
    try {
      const trace = find(args)
      realizeValues(args, met, trace.packing)
      return execute(trace, met) as Result
    } finally {
      met.clear()
    }
  }
  return Object.defineProperties(run, {
    compilations: { get: () => compilations },
    explain: {
      value: () => {
        const [last] = traces
        if (!last)
          throw new TesseraError(
            'NOT_COMPILED',
            'explain: the function has not been called yet. Call it once, then ask.',
          )
        return last.program.explain()
      },
    },
  }) as unknown as Jitted<Parameters, Result>
}

/** Every handle in the arguments, and every place of a tensor. */
function inspect(args: readonly unknown[]): { handles: Set<Tensor>; slots: Slot[] } {
  const handles = new Set<Tensor>()
  const slots: Slot[] = []
  visitTree(args, (value, path, owner) => {
    if (!(value instanceof Tensor)) return
    handles.add(value)
    slots.push({ owner: owner!, key: path.at(-1)!, path })
  })
  return { handles, slots }
}

/** Computes arguments that are not computed yet. */
function realizeValues(args: readonly unknown[], { values }: Arguments, packing?: Packing): void {
  const pending = values.filter((node, i) => node.op !== 'leaf' && !isPackedBy(packing, i, node))
  if (pending.length === 0) return
  const leaves = new Map(realizeNodes(pending).map((leaf, i) => [pending[i]!, leaf]))
  for (const tensor of tensorsIn(args)) tensor.replaceNode(leaves.get(tensor.node) ?? tensor.node)
  values.forEach((node, i) => {
    values[i] = leaves.get(node) ?? node
  })
}

/** Traces the function for arguments of a new signature; what they are made of is in `met` afterwards. */
function traceFunction<Parameters extends unknown[]>(
  name: string,
  body: (...args: Parameters) => unknown,
  args: Parameters,
  met: Arguments,
  policy: ProgramPolicy | undefined,
): Trace {
  const signature = new Signature(args)
  if (!signature.matches(args, met)) {
    throw new TesseraError(
      'UNSTABLE_ARGUMENTS',
      `jit: a getter in the arguments of ${name} gives another object at every read. Give it the same one, or make it a method.`,
    )
  }
  realizeValues(args, met)
  const { handles: tensors, slots } = inspect(args)
  const inputs = [...met.values]
  const positions = new Map(inputs.map((node, index) => [node, index]))
  const handles = new Map([...tensors].map((tensor) => [tensor, positions.get(tensor.node)!]))
  const before = new Map(slots.map((slot) => [slot.path.join('\n'), slot.owner[slot.key] as Tensor]))
  const placeholders = inputs.map((input, index) => {
    const node = leaf(input.shape, input.dtype)
    setLeafValue(node, { kind: 'argument', index })
    return node
  })
  const paths = new Map<Node, string>()
  for (const { owner, key, path } of slots) {
    const node = placeholders[handles.get(owner[key] as Tensor)!]!
    // A tensor in several places is known by the first.
    if (!paths.has(node)) paths.set(node, path.join('.'))
  }
  for (const [tensor, index] of handles) tensor.replaceNode(placeholders[index]!)
  const updates = new Map<Tensor, Slot[]>()
  try {
    const result = recording(() => body(...args))
    if (result instanceof Promise) {
      throw new TesseraError(
        'ASYNC_JIT',
        `jit: ${name} is async. A traced function records ops and must return at once; await outside of it.`,
      )
    }
    visitTree(args, (value, path, owner) => {
      if (!(value instanceof Tensor)) return
      if (before.get(path.join('\n')) === value) return
      const places = updates.get(value) ?? []
      updates.set(value, places)
      places.push({ owner: owner!, key: path.at(-1)!, path })
    })
    const returned: Node[] = []
    const shape = mapTensors(result, (tensor) => {
      returned.push(tensor.node)
      return new ResultSlot(returned.length - 1)
    })
    const kept = new Set<number>()
    // A tensor that still stands somewhere in the arguments keeps its memory.
    visitTree(args, (value) => {
      const index = value instanceof Tensor ? handles.get(value) : undefined
      if (index !== undefined) kept.add(index)
    })
    const donated = new Set<number>()
    const donors = [...updates].map(([value, places]) => {
      const donor = places
        .map(({ path }) => before.get(path.join('\n')))
        .map((previous) => previous && handles.get(previous))
        .find((index) => index !== undefined && !kept.has(index) && !donated.has(index))
      if (donor === undefined || formatSpec(value) !== formatSpec(placeholders[donor]!)) return undefined
      donated.add(donor)
      return donor
    })
    const recorded = [...[...updates.keys()].map((value) => value.node), ...returned]
    const {
      outputs,
      state,
      packed = [],
      isCurrent,
    } = policy
      ? policy.rewrite(
          recorded,
          recorded.map((_, i) => (donors[i] === undefined ? undefined : placeholders[donors[i]])),
          paths,
        )
      : unchanged(recorded)
    const packing = packingOf(packed, placeholders)
    const program = prepare({
      name,
      arguments: [
        ...placeholders.map((node, i) => packing.inputs.get(i)?.parameter ?? node),
        ...state.map(({ parameter }) => parameter),
      ],
      outputs: [...outputs, ...state.map(({ next }) => next)],
      donors: [...donors, ...returned.map(() => undefined), ...state.map((_, i) => placeholders.length + i)],
    })
    const places = [...updates.values()].map((slots) => slots.map(({ path }) => met.placeOf(path)))
    return { signature, program, updates: places, result: shape, state, packing, isCurrent }
  } finally {
    for (const slot of [...updates.values()].flat()) if (!before.has(slot.path.join('\n'))) delete slot.owner[slot.key]
    for (const slot of slots) slot.owner[slot.key] = before.get(slot.path.join('\n'))
    for (const [tensor, index] of handles) tensor.replaceNode(inputs[index]!)
  }
}

/** Stands for a returned tensor in the shape of the result. */
class ResultSlot {
  readonly index: number
  constructor(index: number) {
    this.index = index
  }
}

const unchanged = (outputs: readonly Node[]): PolicyRewrite => ({ outputs, state: [], isCurrent: () => true })

function execute({ program, updates, result, state, packing }: Trace, { values, branches }: Arguments): unknown {
  const inputs = packedInputs(packing, values)
  const leaves = program.run(state.length === 0 ? inputs : [...inputs, ...state.map(({ holder }) => nodeOf(holder))])
  const firstState = leaves.length - state.length
  for (let i = 0; i < state.length; i++) state[i]!.holder.value = new Tensor(leaves[firstState + i]!)
  for (let i = 0; i < updates.length; i++) {
    const value = unpackedOutput(packing, i, leaves[i]!)
    for (const { branch, keys } of updates[i]!) assign(branches[branch]!, keys, value)
  }
  return filled(result, leaves, updates.length)
}

const nodeOf = (holder: PolicyState['holder']): Node => holder.value.realize().node

/** The result of a traced function, with tensors where its shape has slots; leaves of returned tensors begin at `first`. */
function filled(shape: unknown, leaves: readonly Node[], first: number): unknown {
  if (shape instanceof ResultSlot) return new Tensor(leaves[first + shape.index]!)
  if (Array.isArray(shape)) return shape.map((item) => filled(item, leaves, first))
  const isPlain = typeof shape === 'object' && shape !== null && Object.getPrototypeOf(shape) === Object.prototype
  if (!isPlain) return shape
  return Object.fromEntries(Object.entries(shape).map(([key, item]) => [key, filled(item, leaves, first)]))
}

function assign(branch: Branch, keys: Path, value: Tensor): void {
  let owner = branch
  for (let depth = 0; depth < keys.length - 1; depth++) owner = owner[keys[depth]!] as Branch
  owner[keys.at(-1)!] = value
}
