import type { TrainingObserver } from '@tessera/nn'

/** Bytes of memory that the operating system counts for the process. */
export interface ResidentMemory {
  /** When the first step had ended. */
  readonly firstBytes: number
  readonly lastBytes: number
  /** Largest at the end of any step. */
  readonly maximumBytes: number
}

/** Watches the memory of the process from step to step. */
export function memoryWatch(): TrainingObserver & { readonly resident: ResidentMemory | undefined } {
  let resident: ResidentMemory | undefined
  return {
    get resident() {
      return resident
    },
    onStep: () => {
      const bytes = process.memoryUsage.rss()
      resident = {
        firstBytes: resident?.firstBytes ?? bytes,
        lastBytes: bytes,
        maximumBytes: Math.max(resident?.maximumBytes ?? 0, bytes),
      }
    },
  }
}

/** The most memory that the process ever had. */
export function peakMemoryBytes(): number {
  return process.resourceUsage().maxRSS * 1024
}
