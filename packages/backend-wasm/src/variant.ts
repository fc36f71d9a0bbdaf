import { TesseraError } from '@tessera/core'

/**
 * How kernels are written for the machine at hand.
 *
 * - `plain`: 128-bit SIMD, multiplication and addition as two instructions;
 * - `relaxed`: with relaxed SIMD, above all the fused multiply-add;
 * - `wide`: relaxed SIMD in adjacent pairs of vectors, which V8's revectoriser (Node 24 and later on x86-64 with AVX2) turns
 *   into 256-bit instructions. Without the revectoriser such code is right but slower than `relaxed`.
 */
export type Variant = 'plain' | 'relaxed' | 'wide'

export const variants: readonly Variant[] = ['plain', 'relaxed', 'wide']

/** True if code of this variant may use relaxed SIMD instructions. */
export function usesRelaxedSimd(variant: Variant): boolean {
  return variant !== 'plain'
}

const header = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0]

/** A module of one function of type () → () with the given locals and instructions. */
function probe(locals: readonly number[], code: readonly number[], imports: readonly number[] = []): boolean {
  const body = [...locals, ...code, 0x0b]
  return WebAssembly.validate(
    new Uint8Array([
      ...header,
      ...[1, 4, 1, 0x60, 0, 0],
      ...imports,
      ...[3, 2, 1, 0],
      ...[10, body.length + 2, 1, body.length, ...body],
    ]),
  )
}

/** True if the engine has 128-bit SIMD. */
export function supportsSimd(): boolean {
  // local.get 0, i8x16.popcnt, drop
  return probe([1, 1, 0x7b], [0x20, 0, 0xfd, 98, 0x1a])
}

/** True if the engine has relaxed SIMD (in Node 20 only after `enableRelaxedSimdInNode20`). */
export function supportsRelaxedSimd(): boolean {
  // local.get 0 (three times), f32x4.relaxed_madd, drop
  return probe([1, 1, 0x7b], [0x20, 0, 0x20, 0, 0x20, 0, 0xfd, 0x85, 0x02, 0x1a])
}

/** True if the engine has shared memory and atomics, and the page may use them (cross-origin isolation in browsers). */
export function supportsThreads(): boolean {
  if (typeof SharedArrayBuffer === 'undefined') return false
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false) return false
  // import "e" "m" (memory 1 1 shared); i32.const 0, i32.atomic.load, drop
  return probe([0], [0x41, 0, 0xfe, 0x10, 2, 0, 0x1a], [2, 9, 1, 1, 0x65, 1, 0x6d, 2, 3, 1, 1])
}

interface NodeProcess {
  readonly arch?: string
  readonly versions?: { readonly node?: string }
  readonly getBuiltinModule?: (name: string) => unknown
}

function nodeProcess(): NodeProcess | undefined {
  return (globalThis as { process?: NodeProcess }).process
}

/** The major version of Node, or undefined elsewhere. */
function nodeMajor(): number | undefined {
  const version = nodeProcess()?.versions?.node
  return version === undefined ? undefined : Number.parseInt(version, 10)
}

/** Sets a flag of V8 through node:v8, loaded in a way that neither browsers nor bundlers see. */
async function setV8Flag(flag: string): Promise<void> {
  const name = 'node:v8'
  const builtin = nodeProcess()?.getBuiltinModule?.(name)
  const v8 = (builtin ?? (await import(/* @vite-ignore */ /* webpackIgnore: true */ name))) as {
    setFlagsFromString(flags: string): void
  }
  v8.setFlagsFromString(flag)
}

/**
 * Turns relaxed SIMD on in Node 20, which has it behind a flag. Call it in every thread before the first compilation.
 * @returns whether relaxed SIMD is available afterwards.
 */
export async function enableRelaxedSimdInNode20(): Promise<boolean> {
  // Later versions have no such flag, and V8 complains on the terminal about one that it does not know.
  if (!supportsRelaxedSimd() && nodeMajor() === 20) await setV8Flag('--experimental-wasm-relaxed-simd')
  return supportsRelaxedSimd()
}

/** True where `enableRevectorizer` can have an effect: Node 24 or later on x86-64. */
export function canEnableRevectorizer(): boolean {
  return (nodeMajor() ?? 0) >= 24 && nodeProcess()?.arch === 'x64'
}

/**
 * Asks V8 to fuse pairs of 128-bit operations into 256-bit ones. Process-wide and experimental. Call it before the first compilation of
 * WebAssembly; modules compiled earlier keep their code.
 * @returns whether the flag was set.
 */
export async function enableRevectorizer(): Promise<boolean> {
  if (!canEnableRevectorizer()) return false
  await setV8Flag('--experimental-wasm-revectorize')
  return true
}

/**
 * The best variant here: `wide` if asked for and possible, else `relaxed`, else `plain`. Sets the V8 flags that the choice needs.
 * @throws if the engine has no SIMD at all.
 */
export async function chooseVariant(options: { readonly wide?: boolean } = {}): Promise<Variant> {
  if (!supportsSimd())
    throw new TesseraError(
      'WASM_SIMD',
      'wasm: the JavaScript engine has no WebAssembly SIMD; use the reference backend',
    )
  const relaxed = await enableRelaxedSimdInNode20()
  if (!relaxed) return 'plain'
  return options.wide && (await enableRevectorizer()) ? 'wide' : 'relaxed'
}
