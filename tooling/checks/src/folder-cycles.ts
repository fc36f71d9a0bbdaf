import { posix } from 'node:path'
import { contractFolder } from './dependency-rules.ts'
import type { Import } from './imports.ts'

/** One import from one folder of a package into another. */
interface Edge {
  readonly from: string
  readonly to: string
  /** Where it stands, as `file:line`. */
  readonly at: string
}

/** The folder under `src` that a file belongs to; a file directly in `src` counts as a folder of its own. */
function folderOf(pathInSource: string): string {
  return pathInSource.split('/')[0]!
}

function listEdges(files: ReadonlyMap<string, readonly Import[]>): Edge[] {
  const edges: Edge[] = []
  for (const [file, imports] of files) {
    for (const { specifier, typeOnly, line } of imports) {
      if (!specifier.startsWith('.')) continue
      const from = folderOf(file)
      const to = folderOf(posix.join(posix.dirname(file), specifier))
      if (from === to || (typeOnly && to === contractFolder)) continue
      edges.push({ from, to, at: `${file}:${line}` })
    }
  }
  return edges
}

/** Finds the shortest way from one folder to another along the edges. */
function findPath(edges: readonly Edge[], from: string, to: string): Edge[] | undefined {
  const paths: Edge[][] = edges.filter((edge) => edge.from === from).map((edge) => [edge])
  const seen = new Set<string>([from])
  for (let path = paths.shift(); path; path = paths.shift()) {
    const last = path.at(-1)!.to
    if (last === to) return path
    if (seen.has(last)) continue
    seen.add(last)
    for (const edge of edges) if (edge.from === last) paths.push([...path, edge])
  }
  return undefined
}

/**
 * Finds cycles between the folders of a package's `src`. Keys of `files` are paths inside `src`.
 * Returns one line per cycle, with a file and line for each step.
 */
export function findFolderCycles(files: ReadonlyMap<string, readonly Import[]>): string[] {
  const edges = listEdges(files)
  const cycles = new Map<string, string>()
  for (const folder of new Set(edges.map((edge) => edge.from))) {
    const path = findPath(edges, folder, folder)
    if (!path) continue
    const members = path.map((edge) => edge.from).sort()
    const key = members.join(' ')
    if (cycles.has(key)) continue
    cycles.set(key, `${path.map((edge) => `${edge.from} → ${edge.to} (${edge.at})`).join(', ')}`)
  }
  return [...cycles.values()]
}
