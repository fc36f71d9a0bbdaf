import { TesseraError } from '../errors.ts'
import type { TypedArray } from '../graph/format.ts'
import type { Node } from '../graph/node.ts'
import type { Device, DeviceBuffer } from '../plugin/contract.ts'
import { inOrder } from './order.ts'

/** A device's buffer until it is freed: what the garbage collector is told to give back, so it must not refer to its owner. */
interface Allocation {
  readonly device: Device
  readonly buffer: DeviceBuffer
  isLive: boolean
}

/**
 * Device memory that holds one tensor in row-major order. When nobody can reach it any more, the memory goes back to the device.
 * It belongs to one leaf at a time: a program that writes over a leaf hands it on to the leaf of its output.
 */
export interface Storage {
  readonly allocation: Allocation
  readonly device: Device
  readonly buffer: DeviceBuffer
}

/** Where the value of a leaf comes from. Not part of a graph's structure: graphs that differ here share a program. */
export type LeafValue =
  | { readonly kind: 'host'; readonly data: TypedArray }
  | { readonly kind: 'device'; readonly storage: Storage }
  /** An argument of a function that is being traced. */
  | { readonly kind: 'argument'; readonly index: number }
  /** A program has taken the memory over. */
  | { readonly kind: 'donated' }

/** Copies of host data, one for each device that needed it. */
const uploads = new WeakMap<Node, Map<Device, Storage>>()

const collected = new FinalizationRegistry<Allocation>(freeAllocation)

/** Storages made since the innermost open scope began. */
let scoped: Set<Storage> | undefined

/** Memory for a tensor, on record with the open scope and with the garbage collector. */
export function createStorage(device: Device, buffer: DeviceBuffer): Storage {
  const allocation: Allocation = { device, buffer, isLive: true }
  const storage: Storage = { allocation, device, buffer }
  scoped?.add(storage)
  collected.register(storage, allocation, storage)
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
  node.value = value
}

export function leafValue(node: Node): LeafValue {
  const value = node.value as LeafValue | undefined
  if (!value) throw new TesseraError('INTERNAL', `leaf ${node.id} has no value.`)
  return value
}

/** Frees a storage's memory; does nothing when that was done already. */
export function release(storage: Storage): void {
  if (!storage.allocation.isLive) return
  collected.unregister(storage)
  freeAllocation(storage.allocation)
}

function freeAllocation(allocation: Allocation): void {
  allocation.isLive = false
  const { device, buffer } = allocation
  // What waits in the queue may still use the buffer.
  inOrder(device, () => {
    if (!closed.has(device)) device.free(buffer)
  })
}

const closed = new WeakSet<Device>()

/** Says that a device's memory is gone as a whole: nothing of it is to be freed any more. */
export function forgetDevice(device: Device): void {
  closed.add(device)
}

export function isForgotten(device: Device): boolean {
  return closed.has(device)
}

const donated: LeafValue = { kind: 'donated' }

/** Takes the memory away from a leaf: a program has written its output there. */
export function takeStorage(node: Node, device: Device): Storage {
  const storage = storageOf(node, device)
  if (leafValue(node).kind === 'device') setLeafValue(node, donated)
  else uploads.get(node)!.delete(device)
  return storage
}

/** Frees the memory of a leaf that has a successor. */
export function discard(node: Node): void {
  for (const storage of storagesOf(node)) release(storage)
  if (leafValue(node).kind === 'device') setLeafValue(node, donated)
}

/** The leaf's data on a device; host data is uploaded once. */
export function storageOf(node: Node, device: Device): Storage {
  const value = leafValue(node)
  if (value.kind === 'device') {
    const { storage } = value
    if (!storage.allocation.isLive) {
      throw new TesseraError(
        'DISPOSED',
        'A tensor was used after dispose(), or outside the scope that made it. Return it from the scope, or keep it with scope.keep().',
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
  if (value.kind === 'host') return uploadOf(node, value.data, device)
  if (value.kind === 'donated') {
    throw new TesseraError(
      'DONATED',
      'The memory of this tensor was given to its successor by a jit function that assigned a new value in its place. ' +
        'Read the tensor again from the object that holds it, or keep a copy from before the call with copy().',
    )
  }
  throw new TesseraError(
    'TRACED_VALUE',
    'The value of an argument is not known while a function is traced (by jit, vmap, scan and so on). Return it, or read it outside.',
  )
}

function uploadOf(node: Node, data: TypedArray, device: Device): Storage {
  const known = uploads.get(node) ?? new Map<Device, Storage>()
  uploads.set(node, known)
  const found = known.get(device)
  if (found?.allocation.isLive) return found
  const storage = createStorage(device, device.allocate(data.byteLength))
  device.write(storage.buffer, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  known.set(device, storage)
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
