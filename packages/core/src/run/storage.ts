import { TesseraError } from '../errors.ts'
import type { TypedArray } from '../graph/format.ts'
import type { Node } from '../graph/node.ts'
import type { Device, DeviceBuffer } from '../plugin/contract.ts'

/** Device memory that holds one tensor in row-major order. */
export interface Storage {
  readonly device: Device
  readonly buffer: DeviceBuffer
  state: 'live' | 'donated' | 'disposed'
}

/** Where the value of a leaf comes from. Not part of a graph's structure: graphs that differ here share a program. */
export type LeafValue =
  | { readonly kind: 'host'; readonly data: TypedArray }
  | { readonly kind: 'device'; readonly storage: Storage }
  /** An argument of a function that is being traced. */
  | { readonly kind: 'argument'; readonly index: number }

const values = new WeakMap<Node, LeafValue>()
/** Copies of host data, one for each device that needed it. */
const uploads = new WeakMap<Node, Map<Device, Storage>>()

/** The garbage collector is the backstop: memory of a leaf that nobody can reach any more goes back to the device. */
const collected = new FinalizationRegistry<Storage>((storage) => release(storage))

/** Storages made since the innermost open scope began. */
let scoped: Set<Storage> | undefined

/** Memory for a tensor, on record with the open scope. */
export function createStorage(device: Device, buffer: DeviceBuffer): Storage {
  const storage: Storage = { device, buffer, state: 'live' }
  scoped?.add(storage)
  return storage
}

/** Opens a scope. The function that it gives closes it: everything made since, and not in `kept`, is freed. */
export function openStorageScope(): (kept: ReadonlySet<Storage>) => void {
  const outer = scoped
  const made = new Set<Storage>()
  scoped = made
  return (kept) => {
    scoped = outer
    for (const storage of made) {
      if (kept.has(storage)) outer?.add(storage)
      else release(storage)
    }
  }
}

export function setLeafValue(node: Node, value: LeafValue): void {
  values.set(node, value)
  if (value.kind === 'device') collected.register(node, value.storage, value.storage)
}

export function leafValue(node: Node): LeafValue {
  const value = values.get(node)
  if (!value) throw new TesseraError('INTERNAL', `leaf ${node.id} has no value.`)
  return value
}

/** Frees a storage's memory; does nothing when that was done already. */
export function release(storage: Storage, state: 'disposed' | 'donated' = 'disposed'): void {
  if (storage.state !== 'live') return
  storage.state = state
  collected.unregister(storage)
  if (!closed.has(storage.device)) storage.device.free(storage.buffer)
}

const closed = new WeakSet<Device>()

/** Says that a device's memory is gone as a whole: nothing of it is to be freed any more. */
export function forgetDevice(device: Device): void {
  closed.add(device)
}

/** Takes the memory away from a storage: a program writes its output there. */
export function donate(storage: Storage): DeviceBuffer {
  storage.state = 'donated'
  collected.unregister(storage)
  return storage.buffer
}

/** The leaf's data on a device; host data is uploaded once. */
export function storageOf(node: Node, device: Device): Storage {
  const value = leafValue(node)
  if (value.kind === 'argument') {
    throw new TesseraError(
      'TRACED_VALUE',
      'The value of an argument of jit is not known while the function is traced. Return it, or read it outside.',
    )
  }
  if (value.kind === 'host') {
    const known = uploads.get(node) ?? new Map<Device, Storage>()
    uploads.set(node, known)
    const found = known.get(device)
    if (found?.state === 'live') return found
    const storage = createStorage(device, device.allocate(value.data.byteLength))
    device.write(storage.buffer, new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength))
    known.set(device, storage)
    collected.register(node, storage, storage)
    return storage
  }
  const { storage } = value
  if (storage.state === 'disposed') {
    throw new TesseraError(
      'DISPOSED',
      'A tensor was used after dispose(), or outside the scope that made it. Return it from the scope, or keep it with scope.keep().',
    )
  }
  if (storage.state === 'donated') {
    throw new TesseraError(
      'DONATED',
      'The memory of this tensor was given to its successor by a jit function that assigned a new value in its place. ' +
        'Read the tensor again from the object that holds it, or keep a copy from before the call with copy().',
    )
  }
  if (storage.device !== device) {
    throw new TesseraError(
      'WRONG_DEVICE',
      `A tensor lives on ${storage.device.backend}, the computation runs on ${device.backend}. Move it through the host: tensor(await x.data(), x.shape).`,
    )
  }
  return storage
}

/** The device on which the leaves live, if any of them lives on one. */
export function deviceOf(leaves: readonly Node[]): Device | undefined {
  for (const node of leaves) {
    const value = leafValue(node)
    if (value.kind === 'device') return value.storage.device
  }
  return undefined
}

/** Device memory that a leaf holds now. */
export function storagesOf(node: Node): Storage[] {
  const value = leafValue(node)
  return value.kind === 'device' ? [value.storage] : [...(uploads.get(node)?.values() ?? [])]
}

/** Frees what a leaf holds: its device memory, or the uploaded copies of its host data. */
export function disposeLeaf(node: Node): void {
  for (const storage of storagesOf(node)) release(storage)
}
