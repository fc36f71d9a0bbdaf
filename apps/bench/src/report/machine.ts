import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os'
import type { Machine } from './report.ts'

/** Describes the machine that the program runs on. */
export function describeMachine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.versions.node,
    v8: process.versions.v8,
    loadAverage: loadavg()[0] ?? 0,
  }
}
