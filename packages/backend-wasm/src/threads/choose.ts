import { supportsThreads } from '../variant.ts'
import { availableThreads, type StartWorker, workerStarter } from './workers.ts'

/** With how many threads a device runs. */
export interface Threading {
  readonly threads: number
  /** Threads that the machine can run at a time. */
  readonly processors: number
  /** How to start the others; undefined for one thread. */
  readonly startWorker?: StartWorker
  /** Why there are fewer threads than were wanted. */
  readonly notice?: string
}

/** More threads than this must be asked for. */
const mostByDefault = 8

/** The number of threads asked for, or that of the machine; one where there is no shared memory or no worker. */
export async function chooseThreads(wanted?: number): Promise<Threading> {
  const processors = await availableThreads()
  const threads = wanted ?? Math.min(processors, mostByDefault)
  const alone = { threads: 1, processors }
  if (threads === 1) return alone
  const instead = `using one thread instead of ${threads}`
  const startWorker = await workerStarter()
  if (typeof startWorker !== 'function') return { ...alone, notice: `${startWorker.unavailable}; ${instead}.` }
  if (!supportsThreads()) return { ...alone, notice: `there is no shared memory; ${instead}.` }
  return { threads, processors, startWorker }
}
