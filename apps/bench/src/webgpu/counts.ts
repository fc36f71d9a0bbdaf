import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import Table from 'cli-table3'
import type { BenchmarkCase } from '../cases/case.ts'
import { entryLabel, type RegistryEntry } from '../implementations/registry.ts'
import type { WebGpuUse } from './counters.ts'

/** What one run of a case asks of WebGPU in one library. */
export interface WebGpuCount {
  readonly case: string
  readonly implementation: string
  readonly use?: WebGpuUse
  /** Why there are no figures. */
  readonly reason?: string
}

const childEntry = fileURLToPath(new URL('./counting-child.ts', import.meta.url))

/** Counts one run of each case in each library, each in a process of its own. */
export async function countUse(
  cases: readonly BenchmarkCase[],
  entries: readonly RegistryEntry[],
  progress: (line: string) => void,
): Promise<WebGpuCount[]> {
  const counts: WebGpuCount[] = []
  for (const { name } of cases) {
    for (const entry of entries) {
      progress(`${name} in ${entryLabel(entry)}`)
      const answer = await countIn(entry.implementation, name)
      counts.push({ case: name, implementation: entryLabel(entry), ...answer })
    }
  }
  return counts
}

async function countIn(implementation: string, name: string): Promise<Pick<WebGpuCount, 'use' | 'reason'>> {
  const child = spawn(process.execPath, [childEntry, implementation, name], { stdio: ['ignore', 'pipe', 'pipe'] })
  let [answer, complaints] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => {
    answer += chunk.toString()
  })
  child.stderr.on('data', (chunk: Buffer) => {
    complaints += chunk.toString()
  })
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  // Native code writes messages of its own to the same place.
  const line = answer.split('\n').findLast((each) => each.startsWith('{'))
  if (code === 0 && line) return JSON.parse(line) as Pick<WebGpuCount, 'use' | 'reason'>
  return { reason: complaints.trim().split('\n').at(-1) || `ended with ${code}` }
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1)

export function renderCounts(counts: readonly WebGpuCount[]): string {
  const table = new Table({
    head: [
      'case',
      'implementation',
      'dispatches',
      'submits',
      'MiB bound',
      'MiB written',
      'MiB copied',
      'buffers',
      'bind groups',
      'pipelines',
    ],
    style: { head: [], border: [] },
  })
  for (const { case: name, implementation, use, reason } of counts) {
    table.push(
      use
        ? [
            name,
            implementation,
            use.dispatches,
            use.submits,
            mebibytes(use.boundBytes),
            mebibytes(use.writtenBytes),
            mebibytes(use.copiedBytes),
            use.buffers,
            use.bindGroups,
            use.pipelines,
          ]
        : [name, implementation, { content: reason ?? '', colSpan: 8 }],
    )
  }
  return table.toString()
}
