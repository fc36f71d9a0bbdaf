/** What a user's bundle may weigh: a program, bundled for browsers from the built packages, minified and compressed by gzip. */
export interface SizeBudget {
  readonly name: string
  /** The program that is bundled. */
  readonly source: string
  /** In kilobytes of 1,000 bytes. */
  readonly kilobytes: number
  /** Packages that are left out of the bundle, to weigh one package's own code. */
  readonly external?: readonly string[]
}

const use = (names: string, from: string): string => `import { ${names} } from '${from}'; globalThis.used = [${names}]`

const wasmParts = (kernels: string): SizeBudget['source'] => use(`wasmWith, ${kernels}`, '@tessera/backend-wasm')

/** What kernel-winograd stands on. */
const winogradOn = [
  '@tessera/core',
  '@tessera/backend-wasm',
  '@tessera/backend-wasm/kernel',
  '@tessera/backend-webgpu',
  '@tessera/backend-webgpu/kernel',
]

/** Kept close above what is true: growth is decided, not drifted into. What each part weighs stands in docs/sizes.md. */
export const sizeBudgets: readonly SizeBudget[] = [
  { name: 'core, everything', source: `export * from '@tessera/core'`, kilobytes: 88 },
  { name: 'core, tensors and gradients', source: use('createRuntime, tensor, grad', '@tessera/core'), kilobytes: 45 },
  {
    name: 'core, a training step',
    source: use('createRuntime, tensor, jit, valueAndGrad, randomKey, randomNormal', '@tessera/core'),
    // Fewer objects in each call of a traced function, and plugins that need one of several others.
    kilobytes: 48.8,
  },
  {
    name: 'backend-wasm, everything',
    source: `export * from '@tessera/backend-wasm'`,
    external: ['@tessera/core'],
    kilobytes: 85,
  },
  {
    name: 'backend-wasm, all kernels',
    source: use('wasm', '@tessera/backend-wasm'),
    external: ['@tessera/core'],
    kilobytes: 85,
  },
  {
    name: 'backend-wasm, basic kernels',
    source: wasmParts('wasmBasicKernels'),
    external: ['@tessera/core'],
    kilobytes: 73,
  },
  {
    name: 'core + wasm',
    source: `${use('createRuntime, tensor, jit', '@tessera/core')}; import { wasm } from '@tessera/backend-wasm'; globalThis.wasm = wasm`,
    kilobytes: 130,
  },
  {
    name: 'kernel-winograd, its own code',
    source: `export * from '@tessera/kernel-winograd'`,
    external: winogradOn,
    // For both backends, two schedules on wasm: filters, or sums of their gradients, in memory and in the cache.
    kilobytes: 19.2,
  },
  {
    // Without the gradients to filters.
    name: 'kernel-winograd, winogradF4 alone',
    source: use('winogradF4', '@tessera/kernel-winograd'),
    external: winogradOn,
    kilobytes: 12.8,
  },
  {
    name: 'nn, one layer and AdamW',
    source: use('Linear, AdamW', '@tessera/nn'),
    external: ['@tessera/core'],
    kilobytes: 5,
  },
]
