import { ShapeError, TesseraError } from '../errors.ts'
import { leaf } from '../graph/build.ts'
import { formatSpec, type Node } from '../graph/node.ts'
import { type PreparedProgram, prepare, realizeNodes } from '../run/evaluate.ts'
import { setLeafValue } from '../run/storage.ts'
import { Tensor } from './tensor.ts'
import { mapTensors, type Path, visitTree } from './tree.ts'

export interface JitOptions {
  /** Name in explanations and traces. */
  readonly name?: string
  /** Most signatures to keep compiled; the least recently used goes first. */
  readonly cacheSize?: number
}

/** A traced function: call it like the function itself. */
export interface Jitted<Arguments extends unknown[], Result> {
  (...args: Arguments): Result
  /** Signatures compiled so far. */
  readonly compilations: number
  /** Which graph, which kernels, which memory: of the last signature used. */
  explain(): string
}

/** A place in the arguments that holds a tensor. */
interface Slot {
  readonly owner: Record<string | number, unknown>
  readonly key: string | number
  readonly path: Path
}

interface Trace {
  readonly program: PreparedProgram
  /** Program outputs that are written back: the paths of their places, several where one tensor stands in several. */
  readonly updates: readonly (readonly Path[])[]
  readonly result: unknown
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
export function jit<Arguments extends unknown[], Result>(
  body: (...args: Arguments) => Result,
  options: JitOptions = {},
): Jitted<Arguments, Result> {
  const traces = new Map<string, Trace>()
  const cacheSize = options.cacheSize ?? 32
  let compilations = 0
  let last: Trace | undefined

  const run = (...args: Arguments): Result => {
    const { signature, handles, slots } = inspect(args)
    const inputs = realizeHandles(handles)
    let trace = traces.get(signature)
    if (trace) traces.delete(signature)
    else {
      trace = traceFunction(options.name ?? (body.name || 'jit'), body, args, handles, inputs, slots)
      compilations++
      if (traces.size >= cacheSize) {
        const [oldest, unused] = traces.entries().next().value!
        unused.program.dispose()
        traces.delete(oldest)
      }
    }
    traces.set(signature, trace)
    last = trace
    return execute(trace, args, inputs) as Result
  }
  return Object.defineProperties(run, {
    compilations: { get: () => compilations },
    explain: {
      value: () => {
        if (!last)
          throw new TesseraError(
            'NOT_COMPILED',
            'explain: the function has not been called yet. Call it once, then ask.',
          )
        return last.program.explain()
      },
    },
  }) as unknown as Jitted<Arguments, Result>
}

/**
 * What the arguments hold: every handle with the number of its value (handles on one node share a value), every place of a
 * tensor, and a string that tells signatures apart.
 */
function inspect(args: readonly unknown[]): { signature: string; handles: Map<Tensor, number>; slots: Slot[] } {
  const order = new Map<Node, number>()
  const handles = new Map<Tensor, number>()
  const slots: Slot[] = []
  const parts: string[] = []
  visitTree(args, (value, path, owner) => {
    if (value instanceof Tensor) {
      const known = order.get(value.node)
      const index = known ?? order.size
      order.set(value.node, index)
      handles.set(value, index)
      parts.push(known === undefined ? formatSpec(value) : `=${index}`)
      slots.push({ owner: owner!, key: path.at(-1)!, path })
    } else if (typeof value === 'function' || (typeof value === 'object' && value !== null)) parts.push(identity(value))
    else parts.push(`${typeof value}:${String(value)}`)
    parts.push(path.join('.'))
  })
  return { signature: parts.join('\n'), handles, slots }
}

/** Computes arguments that are not computed yet. Gives the leaf of each value. */
function realizeHandles(handles: ReadonlyMap<Tensor, number>): Node[] {
  const nodes: Node[] = []
  for (const [tensor, index] of handles) nodes[index] = tensor.node
  const leaves = realizeNodes(nodes)
  for (const [tensor, index] of handles) tensor.replaceNode(leaves[index]!)
  return leaves
}

const identities = new WeakMap<object, number>()
let nextIdentity = 0

/** Functions, and objects that are not trees, count as the same only when they are the same object. */
function identity(value: object): string {
  const known = identities.get(value)
  if (known !== undefined) return `#${known}`
  identities.set(value, nextIdentity)
  return `#${nextIdentity++}`
}

function traceFunction<Arguments extends unknown[]>(
  name: string,
  body: (...args: Arguments) => unknown,
  args: Arguments,
  handles: ReadonlyMap<Tensor, number>,
  inputs: readonly Node[],
  slots: readonly Slot[],
): Trace {
  const before = new Map(slots.map((slot) => [slot.path.join('\n'), slot.owner[slot.key] as Tensor]))
  const placeholders = inputs.map((input, index) => {
    const node = leaf(input.shape, input.dtype)
    setLeafValue(node, { kind: 'argument', index })
    return node
  })
  for (const [tensor, index] of handles) tensor.replaceNode(placeholders[index]!)
  const updates = new Map<Tensor, Slot[]>()
  try {
    const result = body(...args)
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
    const program = prepare({
      name,
      arguments: placeholders,
      outputs: [...[...updates.keys()].map((value) => value.node), ...returned],
      donors: [...donors, ...returned.map(() => undefined)],
    })
    return { program, updates: [...updates.values()].map((places) => places.map(({ path }) => path)), result: shape }
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

function execute(trace: Trace, args: readonly unknown[], inputs: readonly Node[]): unknown {
  const outputs = trace.program.run(inputs)
  trace.updates.forEach((paths, i) => {
    const value = new Tensor(outputs[i]!)
    for (const path of paths) assign(args, path, value)
  })
  const returned = outputs.slice(trace.updates.length).map((node) => new Tensor(node))
  const fill = (value: unknown): unknown => {
    if (value instanceof ResultSlot) return returned[value.index]
    if (Array.isArray(value)) return value.map(fill)
    const plain = typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
    return plain ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item)])) : value
  }
  return fill(trace.result)
}

function assign(root: unknown, path: Path, value: Tensor): void {
  let owner = root as Record<string | number, unknown>
  for (const key of path.slice(0, -1)) owner = owner[key] as Record<string | number, unknown>
  const key = path.at(-1)
  if (key === undefined)
    throw new ShapeError('jit: an argument itself cannot be replaced; put the tensor into an object.')
  owner[key] = value
}
