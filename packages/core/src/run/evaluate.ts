import { reportRun } from '../debug/debug.ts'
import { explainProgram, formatSchedule } from '../debug/explain.ts'
import { leaf } from '../graph/build.ts'
import { formatOf, type TypedArray } from '../graph/format.ts'
import { type Node, topologicalOrder } from '../graph/node.ts'
import { sizeOf } from '../graph/shape.ts'
import { attributesKey } from '../passes/rewrite.ts'
import { compileGraph, type DonorsOf } from '../pipeline.ts'
import type { DeviceBuffer } from '../plugin/contract.ts'
import type { CachedProgram } from './cache.ts'
import { type RuntimeState, runtimeState } from './runtime.ts'
import {
  createStorage,
  deviceOf,
  donate,
  leafValue,
  release,
  type Storage,
  setLeafValue,
  storageOf,
} from './storage.ts'

/** A traced function's program: compiled at its first run, when the device of its arguments is known. */
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

/** Computes nodes that are not computed yet, in one program, and gives leaves in their place. */
export function realizeNodes(nodes: readonly Node[]): Node[] {
  const pending = [...new Set(nodes.filter((node) => node.op !== 'leaf'))]
  if (pending.length === 0) return [...nodes]
  const computed = evaluateNodes(pending)
  return nodes.map((node) => (node.op === 'leaf' ? node : computed[pending.indexOf(node)]!))
}

/** Computes nodes into memory of their own, leaves too. */
export function evaluateNodes(nodes: readonly Node[]): Node[] {
  const { key, leaves } = structureOf(nodes)
  const state = runtimeState(deviceOf(leaves))
  const program = state.cache.get(key, () => compile('eager', nodes, leaves, () => [], state))
  const inputs = program.leafOrder.map((position) => storageOf(leaves[position]!, state.runtime.device))
  return execute('eager', program, nodes, inputs, state)
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
  const bytes = await device.read(storageOf(computed, device).buffer, bytesOf(node))
  return { node: computed, data: new array(bytes.buffer, bytes.byteOffset, sizeOf(node.shape)) }
}

/** Makes a program of a traced function. */
export function prepare(traced: TracedFunction): PreparedProgram {
  const leaves = topologicalOrder(traced.outputs).filter((node) => node.op === 'leaf')
  const argumentOf = leaves.map((node) => traced.arguments.indexOf(node))
  let ready: { program: CachedProgram; state: RuntimeState } | undefined

  const donorsOf: DonorsOf = (bound) =>
    traced.donors.map((donor) => (donor === undefined ? undefined : positionOf(bound, traced.arguments[donor]!)))
  return {
    run: (inputs) => {
      const values = leaves.map((node, i) => (argumentOf[i]! < 0 ? node : inputs[argumentOf[i]!]!))
      ready ??= start(values)
      const { program, state } = ready
      const storages = program.leafOrder.map((position) => storageOf(values[position]!, state.runtime.device))
      const donors = traced.donors.map((donor) => (donor === undefined ? undefined : inputs[donor]))
      return execute(
        traced.name,
        program,
        traced.outputs,
        storages,
        state,
        donors.map((node) => node && storageOf(node, state.runtime.device)),
      )
    },
    explain: () =>
      ready
        ? explainProgram(traced.name, ready.program.compiled, ready.state.runtime.device)
        : `${traced.name}: not compiled yet`,
    dispose: () => ready?.program.executable.dispose(),
  }

  function start(values: readonly Node[]) {
    const state = runtimeState(deviceOf(values))
    return { state, program: compile(traced.name, traced.outputs, leaves, donorsOf, state) }
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
): CachedProgram {
  const compiled = compileGraph({ outputs }, donorsOf, state.pipeline)
  const { device } = state.runtime
  const executable = device.compile(compiled.selection)
  if (state.debug >= 3) state.log(formatSchedule(name, compiled))
  if (state.debug >= 4 && executable.source) state.log(executable.source())
  return { compiled, executable, leafOrder: compiled.leaves.map((node) => leaves.indexOf(node)) }
}

/**
 * Binds memory and runs. A donor whose memory the program could not write over while others still read it is freed after
 * the run instead.
 */
function execute(
  name: string,
  { compiled, executable }: CachedProgram,
  outputs: readonly Node[],
  inputs: readonly Storage[],
  state: RuntimeState,
  donors: readonly (Storage | undefined)[] = [],
): Node[] {
  const { device } = state.runtime
  const { program } = compiled.selection
  const inPlace = program.outputs.map((id) => {
    const { donatedFrom } = program.buffers[id]!
    return donatedFrom === undefined ? undefined : inputs[program.inputs.indexOf(donatedFrom)]!
  })
  const buffers: DeviceBuffer[] = inputs.map((storage) => storage.buffer)
  const storages = outputs.map((node, i) => {
    const donor = inPlace[i]
    const buffer = donor ? donor.buffer : device.allocate(bytesOf(node))
    buffers.push(buffer)
    return donor ? buffer : createStorage(device, buffer)
  })
  if (state.debug >= 2) reportRun(name, compiled, executable, buffers, state)
  else executable.run(buffers)
  const made = storages.map((storage, i) => ('state' in storage ? storage : createStorage(device, donate(inPlace[i]!))))
  for (const donor of donors) if (donor?.state === 'live') release(donor, 'donated')
  return outputs.map(({ shape, dtype }, i) => {
    const node = leaf(shape, dtype)
    setLeafValue(node, { kind: 'device', storage: made[i]! })
    return node
  })
}

function bytesOf({ shape, dtype }: Pick<Node, 'shape' | 'dtype'>): number {
  return sizeOf(shape) * formatOf(dtype).bytes
}

/** What a graph is made of, without the values of its leaves: graphs with the same text share a program. */
function structureOf(outputs: readonly Node[]): { key: string; leaves: Node[] } {
  const order = topologicalOrder(outputs)
  const positions = new Map<Node, number>()
  const leaves: Node[] = []
  const lines = order.map((node, i) => {
    positions.set(node, i)
    if (node.op === 'leaf') leaves.push(node)
    return `${node.op}${attributesKey(node.attributes)}(${node.inputs.map((input) => positions.get(input)).join(',')})`
  })
  return { key: `${lines.join(';')}=>${outputs.map((output) => positions.get(output)).join(',')}`, leaves }
}
