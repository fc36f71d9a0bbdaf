import { reportRun } from '../debug/debug.ts'
import { explainProgram, formatSchedule } from '../debug/explain.ts'
import { leaf } from '../graph/build.ts'
import { formatOf, type TypedArray } from '../graph/format.ts'
import { independentGroups, leafLike, type Node, topologicalOrder } from '../graph/node.ts'
import { sizeOf } from '../graph/shape.ts'
import { structureKey } from '../graph/subgraph.ts'
import type { Device, DeviceBuffer } from '../plugin/contract.ts'
import type { DonorsOf } from '../stages/compiled.ts'
import type { CachedProgram } from './cache.ts'
import { compileLocated } from './locate.ts'
import { inOrder, readInOrder } from './order.ts'
import { type RuntimeState, runtimeState } from './runtime.ts'
import { makeRunnable } from './staged.ts'
import {
  createStorage,
  deviceOf,
  discard,
  isForgotten,
  leafValue,
  release,
  type Storage,
  storageOf,
  takeStorage,
} from './storage.ts'

/** A traced function's program: compiled at its first run on a device, when the device of its arguments is known. */
export interface PreparedProgram {
  /** Runs on the arguments (leaves) and gives a leaf for each output. */
  run(inputs: readonly Node[]): Node[]
  explain(): string
  dispose(): void
}

export interface TracedFunction {
  readonly name: string
  /** Stand-ins of the arguments. */
  readonly arguments: readonly Node[]
  readonly outputs: readonly Node[]
  /** For each output, the argument whose memory it may take over. */
  readonly donors: readonly (number | undefined)[]
}

/**
 * Computes nodes that are not computed yet, and gives leaves in their place. Those that share no computation are programs of their own: the weights of
 * a model's equal layers then share one, compiled once.
 */
export function realizeNodes(nodes: readonly Node[]): Node[] {
  const pending = [...new Set(nodes.filter((node) => node.op !== 'leaf'))]
  if (pending.length === 0) return [...nodes]
  const results = new Map<Node, Node>()
  const order = topologicalOrder(pending)
  const device = deviceOf(order.filter((node) => node.op === 'leaf'))
  for (const group of independentGroups(pending, order)) {
    const computed = evaluateNodes(group, device)
    group.forEach((node, i) => {
      results.set(node, computed[i]!)
    })
  }
  return nodes.map((node) => results.get(node) ?? node)
}

/** Computes nodes into memory of their own, leaves too, in one program. */
export function evaluateNodes(nodes: readonly Node[], device?: Device): Node[] {
  const { key, leaves } = structureKey(nodes)
  const state = runtimeState(device ?? deviceOf(leaves))
  const program = state.cache.get(key, () => compile('eager', nodes, leaves, () => [], state))
  return execute('eager', program, leaves, state)
}

/** The value of a node on the host, and the leaf that holds it. */
export async function readNode(node: Node): Promise<{ node: Node; data: TypedArray }> {
  const [computed] = realizeNodes([node]) as [Node]
  const { array } = formatOf(node.dtype)
  const value = leafValue(computed)
  if (value.kind === 'host')
    return {
      node: computed,
      data: new array(value.data.buffer.slice(value.data.byteOffset, value.data.byteOffset + value.data.byteLength)),
    }
  const { device } = runtimeState(deviceOf([computed])).runtime
  const { buffer } = storageOf(computed, device)
  const bytes = await readInOrder(device, () => device.read(buffer, bytesOf(node)))
  return { node: computed, data: new array(bytes.buffer, bytes.byteOffset, sizeOf(node.shape)) }
}

/** Makes a program of a traced function. */
export function prepare(traced: TracedFunction): PreparedProgram {
  const leaves = topologicalOrder(traced.outputs).filter((node) => node.op === 'leaf')
  const argumentOf = leaves.map((node) => traced.arguments.indexOf(node))
  const programs = new Map<Device, CachedProgram>()
  const isCaptured = (node: Node) => !traced.arguments.includes(node)
  let last: { readonly program: CachedProgram; readonly state: RuntimeState } | undefined

  const donorsOf: DonorsOf = (bound) =>
    traced.donors.map((donor) => (donor === undefined ? undefined : positionOf(bound, traced.arguments[donor]!)))
  const programOn = (state: RuntimeState): CachedProgram => {
    const { device } = state.runtime
    const known = programs.get(device)
    if (known) return known
    for (const closed of [...programs.keys()].filter(isForgotten)) programs.delete(closed)
    const program = compile(traced.name, traced.outputs, leaves, donorsOf, state, isCaptured)
    programs.set(device, program)
    return program
  }
  return {
    run: (inputs) => {
      const values = leaves.map((node, i) => (argumentOf[i]! < 0 ? node : inputs[argumentOf[i]!]!))
      const state = runtimeState(deviceOf(values))
      const program = programOn(state)
      if (last?.program !== program) last = { program, state }
      const outputs = execute(traced.name, program, values, state)
      traced.donors.forEach((donor, i) => {
        if (donor !== undefined && program.outputs[i]!.donor < 0) discard(inputs[donor]!)
      })
      return outputs
    },
    explain: () =>
      last
        ? explainProgram(traced.name, last.program.compiled, last.state.runtime.device, last.program.measured)
        : `${traced.name}: not compiled yet`,
    dispose: () => {
      for (const [device, { executable }] of programs) if (!isForgotten(device)) executable.dispose()
      programs.clear()
    },
  }
}

function positionOf(nodes: readonly Node[], node: Node): number | undefined {
  const position = nodes.indexOf(node)
  return position < 0 ? undefined : position
}

function compile(
  name: string,
  outputs: readonly Node[],
  leaves: readonly Node[],
  donorsOf: DonorsOf,
  state: RuntimeState,
  isConstant?: (leaf: Node) => boolean,
): CachedProgram {
  const compiled = compileLocated({ outputs }, donorsOf, { ...state.pipeline, ...(isConstant && { isConstant }) })
  const { device } = state.runtime
  const executable = makeRunnable(compiled, device)
  if (state.debug >= 3) state.log(formatSchedule(name, compiled, device.limits))
  if (state.debug >= 4 && executable.source) state.log(executable.source())
  return {
    compiled,
    executable,
    leafOrder: compiled.leaves.map((node) => leaves.indexOf(node)),
    outputs: compiled.donors.map((donor, i) => {
      const { shape, dtype } = outputs[i]!
      return { model: leaf(shape, dtype), bytes: bytesOf(outputs[i]!), donor }
    }),
  }
}

/**
 * Binds memory and runs.
 * @param leaves of the graph, in its order; those whose memory an output takes over lose it
 * @returns a leaf for each output
 */
function execute(name: string, program: CachedProgram, leaves: readonly Node[], state: RuntimeState): Node[] {
  const { executable, outputs, leafOrder } = program
  const { device } = state.runtime
  const buffers: DeviceBuffer[] = []
  for (const position of leafOrder) buffers.push(storageOf(leaves[position]!, device).buffer)
  const fresh: Storage[] = []
  try {
    for (const { donor, bytes } of outputs) {
      if (donor < 0) fresh.push(createStorage(device, device.allocate(bytes)))
      buffers.push(donor < 0 ? fresh.at(-1)!.buffer : buffers[donor]!)
    }
    inOrder(device, () => {
      if (state.debug < 2) return executable.run(buffers)
      const reported = reportRun(name, program, buffers, device, state)
      return device.readNow ? undefined : reported
    })
  } catch (error) {
    for (const storage of fresh) release(storage)
    throw error
  }
  let next = 0
  const results: Node[] = []
  for (const { donor, model } of outputs) {
    const storage = donor < 0 ? fresh[next++]! : takeStorage(leaves[leafOrder[donor]!]!, device)
    results.push(leafLike(model, { kind: 'device', storage }))
  }
  return results
}

function bytesOf({ shape, dtype }: Pick<Node, 'shape' | 'dtype'>): number {
  return sizeOf(shape) * formatOf(dtype).bytes
}
