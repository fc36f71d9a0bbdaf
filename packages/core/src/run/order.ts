import type { Device } from '../plugin/contract.ts'

interface Queue {
  /** Resolves when all that was asked for so far has been done; never rejects. */
  tail: Promise<void>
  failure: { readonly error: unknown } | undefined
}

/** Devices that a loop or a host op waits on. All others run what they are asked to at once. */
const queues = new WeakMap<Device, Queue>()

/**
 * Does something with a device in the order in which it was asked for: at once, unless something asked for earlier still waits. An
 * error that comes later is thrown by `settled`.
 */
export function inOrder(device: Device, task: () => void | Promise<void>): void {
  const queue = queues.get(device)
  if (queue) {
    extend(device, queue, queue.tail.then(task))
    return
  }
  const waiting = task()
  if (waiting) extend(device, { tail: Promise.resolve(), failure: undefined }, waiting)
}

function extend(device: Device, queue: Queue, waiting: Promise<void>): void {
  const tail = waiting.then(
    () => {},
    (error: unknown) => {
      queue.failure ??= { error }
    },
  )
  queue.tail = tail
  queues.set(device, queue)
  tail.then(() => {
    if (queue.tail === tail && !queue.failure) queues.delete(device)
  })
}

/** Waits for everything asked for so far. Throws the first error since the last call. */
export async function settled(device: Device): Promise<void> {
  const queue = queues.get(device)
  if (!queue) return
  await queue.tail
  const { failure } = queue
  if (!failure) return
  queues.delete(device)
  throw failure.error
}

/**
 * Asks a device for something in order: at once, unless something asked for earlier still waits, and before all that is asked for
 * later, which may write over what is to be read. Throws the first error of what was asked for before.
 */
export async function readInOrder<Result>(device: Device, read: () => Promise<Result>): Promise<Result> {
  const queue = queues.get(device)
  if (!queue) return read()
  const result = queue.tail.then(read)
  result.catch(() => {})
  await settled(device)
  return result
}
