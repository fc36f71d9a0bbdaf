import { supportsThreads } from '../variant.ts'
import { availableThreads, isPage, mustNotWait, type StartWorker, workerStarter } from './workers.ts'

/** With how many threads a device runs. */
export interface Threading {
  readonly threads: number
  /** Threads that the machine can run at a time. */
  readonly processors: number
  /** How to start workers; undefined where the calling thread does everything. */
  readonly startWorker?: StartWorker
  /** Whether the calling thread is one of the threads, and waits for the others. */
  readonly mayWait: boolean
  /** Why there are fewer threads than were wanted. */
  readonly notice?: string
}

/** More threads than this must be asked for. */
const mostByDefault = 8

/** The number of threads asked for, or that of the machine; one where there is no shared memory or no worker. */
export async function chooseThreads(wanted?: number): Promise<Threading> {
  const processors = await availableThreads()
  const threads = wanted ?? Math.min(processors, mostByDefault)
  const mayWait = !mustNotWait()
  const alone = { threads: 1, processors, mayWait }
  // A page stays responsive with one thread as well, if that is a worker.
  if (threads === 1 && (mayWait || !isPage())) return alone
  const notice = (reason: string): Threading =>
    threads === 1 ? alone : { ...alone, notice: `${reason}; using one thread instead of ${threads}.` }
  const startWorker = await workerStarter()
  if (typeof startWorker !== 'function') return notice(startWorker.unavailable)
  if (!supportsThreads()) return notice(whyNoSharedMemory())
  return { threads, processors, mayWait, startWorker }
}

function whyNoSharedMemory(): string {
  const { crossOriginIsolated } = globalThis as { crossOriginIsolated?: boolean }
  if (crossOriginIsolated !== false) return 'there is no shared memory'
  return (
    'there is no shared memory, since the page is not cross-origin isolated (serve it with the headers ' +
    'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp)'
  )
}
