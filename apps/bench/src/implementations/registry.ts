import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { limitFamily } from '../cases/limits.ts'
import type { LaunchCommand } from '../harness/child-process.ts'

/** One implementation in one variant: a child process of its own. */
export interface RegistryEntry {
  readonly implementation: string
  readonly variant: string
  /** False for Tessera itself and for the limits. */
  readonly peer: boolean
  /** Why the implementation has no more than one thread under Node; absent when it has. */
  readonly singleThreaded?: string
  /** Number of its threads, whatever the others have. */
  readonly fixedThreads?: number
  launch(threads: number): LaunchCommand
}

const childEntry = fileURLToPath(new URL('../child.ts', import.meta.url))
const pythonEntry = fileURLToPath(new URL('../../python/child.py', import.meta.url))
const revectorize = '--experimental-wasm-revectorize'

function nodeChild(
  implementation: string,
  variant: string,
  options: { peer: boolean; flags?: readonly string[]; singleThreaded?: string },
): RegistryEntry {
  const { peer, flags = [], singleThreaded } = options
  return {
    implementation,
    variant,
    peer,
    ...(singleThreaded === undefined ? {} : { singleThreaded }),
    launch: (threads) => ({
      command: process.execPath,
      arguments: [...flags, childEntry, implementation, variant, `${threads}`],
      environment: { NODE_OPTIONS: undefined },
    }),
  }
}

/** A WASM library as it comes, and with V8's revectoriser, the flag that Tessera's wide variant asks for. */
function wasmPeer(implementation: string, singleThreaded?: string): RegistryEntry[] {
  const options = { peer: true, ...(singleThreaded === undefined ? {} : { singleThreaded }) }
  return [
    nodeChild(implementation, 'wasm', options),
    nodeChild(implementation, 'wasm-revectorized', { ...options, flags: [revectorize] }),
  ]
}

/** The first Python that has PyTorch; a Python found first on the path often is not the one it is installed for. */
function findPython(): string {
  const candidates = [...(process.env.PYTHON ? [process.env.PYTHON] : []), 'python3', '/usr/bin/python3']
  const probe = 'import importlib.util, sys; sys.exit(importlib.util.find_spec("torch") is None)'
  // Without any, the first one is started all the same and tells what is missing.
  return candidates.find((python) => spawnSync(python, ['-c', probe]).status === 0) ?? candidates[0]!
}

const pytorch: RegistryEntry = {
  implementation: 'pytorch',
  variant: 'native',
  peer: true,
  launch: (threads) => ({
    command: findPython(),
    arguments: [pythonEntry, `${threads}`],
    environment: {
      // OpenBLAS has a thread pool of its own, which torch.set_num_threads does not govern.
      OPENBLAS_NUM_THREADS: `${threads}`,
      // Where these are set, they make OpenBLAS take slower kernels than the processor allows.
      OPENBLAS_CORETYPE: undefined,
      OPENBLAS_L2_SIZE: undefined,
    },
  }),
}

/** Everything that `npm run bench` can time, in the order of its table. */
export const registry: readonly RegistryEntry[] = [
  nodeChild('tessera', 'plain', { peer: false }),
  nodeChild('tessera', 'relaxed', { peer: false }),
  nodeChild('tessera', 'wide', { peer: false }),
  nodeChild('tessera-winograd', 'relaxed', { peer: false }),
  nodeChild('tessera-winograd', 'wide', { peer: false }),
  ...wasmPeer('onnxruntime-web'),
  nodeChild('onnxruntime-node', 'native', { peer: true }),
  ...wasmPeer('tfjs', 'tfjs-backend-wasm starts no threads under Node'),
  ...wasmPeer('jax-js', 'jax-js starts threads only where the global Worker exists, which Node has not'),
  nodeChild('javascript', 'loops', { peer: true, singleThreaded: 'the loops are plain JavaScript' }),
  pytorch,
]

/**
 * What can be timed on WebGPU, with `--webgpu`: on the adapter that Vulkan finds, or the one of `VK_ICD_FILENAMES`. Threads are the adapter's own affair.
 */
export const webGpuRegistry: readonly RegistryEntry[] = [
  nodeChild('tessera', 'webgpu', { peer: false }),
  nodeChild('tessera-winograd', 'webgpu', { peer: false }),
  nodeChild('tfjs', 'webgpu', { peer: true }),
  nodeChild('jax-js', 'webgpu', { peer: true }),
  nodeChild('onnxruntime-web', 'webgpu', { peer: true }),
]

/** The entries, and every peer with one thread as well: some have no more, and some are slower with more. */
export function withSingleThreadedPeers(entries: readonly RegistryEntry[]): RegistryEntry[] {
  return entries.flatMap((entry) => {
    if (!entry.peer) return [entry]
    const { implementation, variant, peer } = entry
    const single: RegistryEntry = {
      implementation,
      variant: `${variant}, 1 thread`,
      peer,
      fixedThreads: 1,
      launch: () => entry.launch(1),
    }
    return entry.singleThreaded === undefined ? [entry, single] : [single]
  })
}

/** The limits of the machine, measured in the same rounds as the cases: one child for each loop of `limitFamily`. */
export const limitEntries: readonly RegistryEntry[] = limitFamily.cases.map(({ loop }) =>
  nodeChild('limits', loop, { peer: false, flags: loop === 'fma-256' ? [revectorize] : [] }),
)

/** `onnxruntime-web/wasm`: how filters and reports call an entry. */
export function entryLabel({ implementation, variant }: Pick<RegistryEntry, 'implementation' | 'variant'>): string {
  return `${implementation}/${variant}`
}
