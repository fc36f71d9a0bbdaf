import type { WorkerStart } from './source.ts'
import { workerSource } from './source.ts'
import type { WorkerEvents, WorkerHandle, WorkerReply } from './workers.ts'

const browserSource = `'use strict'
const listen = (take) => { onmessage = ({ data }) => take(data) }
const post = (message, transfer = []) => postMessage(message, transfer)
const hold = (then) => void navigator.locks.request(start.lock, () => {
  then()
  return new Promise(() => {})
})
const nextMessage = () => undefined
${workerSource}`

/**
 * Starts a worker from text. No event says that a worker is gone, so it holds a lock as long as it lives, and whoever waits for
 * the lock is told.
 */
export function startBrowserWorker(start: WorkerStart, events: WorkerEvents): WorkerHandle {
  const url = URL.createObjectURL(new Blob([browserSource], { type: 'text/javascript' }))
  const lock = `tessera-wasm-${crypto.randomUUID()}`
  const worker = new Worker(url, { name: `tessera-wasm-${start.thread}` })
  let isGone = false
  let ended: Promise<void> | undefined
  const gone = (reason: string): void => {
    isGone = true
    events.gone(reason)
  }
  worker.onmessage = ({ data }: MessageEvent<WorkerReply>) => {
    if (data !== 'ready') {
      events.reply(data)
      return
    }
    URL.revokeObjectURL(url)
    ended = navigator.locks.request(lock, () => gone('its worker is gone')).then(() => {})
    events.ready()
  }
  worker.onerror = (event) => {
    event.preventDefault()
    // Without a message the script could not be loaded: as where a content security policy forbids blob: for workers.
    gone(event.message || 'its script cannot be loaded; does the content security policy allow worker-src blob:?')
  }
  worker.postMessage({ ...start, lock })
  return {
    post: (message, transfer = []) => worker.postMessage(message, [...transfer]),
    isAlive: () => !isGone,
    release: () => {},
    terminate: async () => {
      worker.terminate()
      URL.revokeObjectURL(url)
      await ended
    },
  }
}
