import { startBrowserWorker } from './browser-workers.ts'
import type { LeaderMessage, LeaderReply, WorkerMessage, WorkerStart } from './source.ts'
import { workerSource } from './source.ts'

/** A worker, whatever the platform. */
export interface WorkerHandle {
  post(message: WorkerMessage | LeaderMessage, transfer?: readonly ArrayBuffer[]): void
  /** False once the worker is known to be gone, even before the platform has said so. */
  isAlive(): boolean
  /** From now on the worker does not keep the process running. */
  release(): void
  /** Resolves when it does not run any more. */
  terminate(): Promise<void>
}

/** What a worker's owner wants to know. */
export interface WorkerEvents {
  /** It waits for commands. */
  ready(): void
  /** It cannot start, or is gone. Called once or more often. */
  gone(reason: string): void
  /** A leading worker says something. */
  reply(reply: LeaderReply): void
}

/** What a worker says: that it waits, or a reply. */
export type WorkerReply = 'ready' | LeaderReply

export type StartWorker = (start: WorkerStart, events: WorkerEvents) => WorkerHandle

/** The part of `node:worker_threads` that is used. */
interface NodeWorker {
  on(event: 'message', listener: (reply: WorkerReply) => void): void
  on(event: 'error', listener: (error: unknown) => void): void
  on(event: 'exit', listener: (code: number) => void): void
  postMessage(message: unknown, transfer?: readonly ArrayBuffer[]): void
  unref(): void
  terminate(): Promise<unknown>
  /** Bun has no `performance` here, Deno one without the function. */
  readonly performance?: { eventLoopUtilization?(): { readonly idle: number } }
}
type NodeWorkerConstructor = new (source: string, options: Record<string, unknown>) => NodeWorker

const nodeSource = `'use strict'
const { parentPort, receiveMessageOnPort } = require('node:worker_threads')
const listen = (take) => parentPort.on('message', take)
const post = (message, transfer) => parentPort.postMessage(message, transfer)
const hold = (then) => then()
const nextMessage = () => receiveMessageOnPort(parentPort)?.message
const close = () => process.exit()
${workerSource}`

/** How workers are started here, or why they cannot be. */
export async function workerStarter(): Promise<StartWorker | { readonly unavailable: string }> {
  const node = (await nodeModule('node:worker_threads')) as { readonly Worker: NodeWorkerConstructor } | undefined
  if (node) return (start, events) => startNodeWorker(node.Worker, start, events)
  if (!('Worker' in globalThis)) return { unavailable: 'there are no workers here' }
  return startBrowserWorker
}

/**
 * True where the calling thread must not wait for others: in a page, whose main thread may not, and in its workers, which hear of
 * lost workers only when they return to the event loop.
 */
export function mustNotWait(): boolean {
  return (globalThis as { process?: { versions?: { node?: string } } }).process?.versions?.node === undefined
}

/** True in the main thread of a page. */
export function isPage(): boolean {
  return 'document' in globalThis && mustNotWait()
}

/** Threads that the machine can run at a time. */
export async function availableThreads(): Promise<number> {
  const os = (await nodeModule('node:os')) as { availableParallelism(): number } | undefined
  return os?.availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 1
}

/** A module of Node, loaded in a way that neither browsers nor bundlers see. */
async function nodeModule(name: string): Promise<unknown> {
  const { process } = globalThis as {
    process?: { readonly versions?: { readonly node?: string }; getBuiltinModule?(name: string): unknown }
  }
  if (process?.versions?.node === undefined) return undefined
  return process.getBuiltinModule?.(name) ?? (await import(/* @vite-ignore */ /* webpackIgnore: true */ name))
}

function startNodeWorker(NodeWorker: NodeWorkerConstructor, start: WorkerStart, events: WorkerEvents): WorkerHandle {
  // Without the loaders and hooks that the process itself was started with.
  const worker = new NodeWorker(nodeSource, { eval: true, execArgv: [], name: `tessera-wasm-${start.thread}` })
  let isGone = false
  const gone = (reason: string): void => {
    isGone = true
    events.gone(reason)
  }
  // Idle time is negative as soon as the thread is gone, which is before any event says so.
  const idleTime = (): number => worker.performance?.eventLoopUtilization?.().idle ?? 0
  worker.on('message', (reply) => {
    idleTime()
    if (reply === 'ready') events.ready()
    else events.reply(reply)
  })
  worker.on('error', (error) => gone(String(error)))
  worker.on('exit', (code) => gone(`it ended with code ${code}`))
  worker.postMessage(start)
  return {
    post: (message, transfer) => worker.postMessage(message, transfer),
    isAlive: () => !isGone && idleTime() >= 0,
    release: () => worker.unref(),
    terminate: async () => void (await worker.terminate()),
  }
}
